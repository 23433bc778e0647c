// The jobs as plain calls on one thread.
#include "jobs.hpp"

static std::uint64_t fib(std::uint64_t n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }

static std::uint64_t queens_from(Board &board, int row) {
  if (row == QUEENS) return 1;
  std::uint64_t count = 0;
  for (int column = 0; column < QUEENS; column++) {
    if (board.allows(row, column)) {
      board.columns[row] = static_cast<std::int8_t>(column);
      count += queens_from(board, row + 1);
    }
  }
  return count;
}

static std::uint64_t queens(const Board &board, int row) {
  Board own = board;
  return queens_from(own, row);
}

static std::uint64_t tree(std::uint64_t node, int number) {
  std::uint64_t count = 1;
  for (int at = 0; at < number; at++) {
    std::uint64_t next = child(node, at);
    count += tree(next, children(next));
  }
  return count;
}

static void sort(Slice numbers) {
  if (numbers.size() <= FEW) return sort_few(numbers);
  auto [before, after] = divide(numbers);
  sort(before);
  sort(after);
}

static void uneven_loop(std::vector<std::uint64_t> &results) {
  for (std::uint64_t at = 0; at < ITEMS; at++) results[at] = item(at);
}

int main(int argc, char **argv) {
  auto start = [](int) { return [](auto &&job) { job(); }; };
  return measure(argc, argv, {fib, queens, tree, sort, uneven_loop}, start);
}
