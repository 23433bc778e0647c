// The jobs by oneTBB: `parallel_invoke` for two parts, a `task_group` for many, and `parallel_for`.
#include "jobs.hpp"

#include <memory>
#include <tbb/global_control.h>
#include <tbb/parallel_for.h>
#include <tbb/parallel_invoke.h>
#include <tbb/task_group.h>

static std::uint64_t fib(std::uint64_t n) {
  if (n < 2) return n;
  std::uint64_t a, b;
  tbb::parallel_invoke([&] { a = fib(n - 1); }, [&] { b = fib(n - 2); });
  return a + b;
}

static std::uint64_t queens(const Board &board, int row) {
  if (row == QUEENS) return 1;
  std::uint64_t counts[QUEENS] = {};
  tbb::task_group group;
  for (int column = 0; column < QUEENS; column++) {
    if (board.allows(row, column)) {
      group.run([&, column] { counts[column] = queens(board.with(row, column), row + 1); });
    }
  }
  group.wait();
  return sum(counts, QUEENS);
}

static std::uint64_t visit_all(std::uint64_t node, std::uint64_t *counts, int number);

static std::uint64_t visit(std::uint64_t node) {
  std::uint64_t counts[CHILDREN];
  int number = children(node);
  return number == 0 ? 1 : visit_all(node, counts, number);
}

static std::uint64_t visit_all(std::uint64_t node, std::uint64_t *counts, int number) {
  tbb::task_group group;
  for (int at = 0; at < number; at++) {
    group.run([=] { counts[at] = visit(child(node, at)); });
  }
  group.wait();
  return 1 + sum(counts, number);
}

static std::uint64_t tree(std::uint64_t root, int number) {
  std::vector<std::uint64_t> counts(number);
  return visit_all(root, counts.data(), number);
}

static void sort(Slice numbers) {
  if (numbers.size() <= FEW) return sort_few(numbers);
  auto [before, after] = divide(numbers);
  tbb::parallel_invoke([half = before] { sort(half); }, [half = after] { sort(half); });
}

static void uneven_loop(std::vector<std::uint64_t> &results) {
  tbb::parallel_for(std::uint64_t{0}, ITEMS, [&](std::uint64_t at) { results[at] = item(at); });
}

int main(int argc, char **argv) {
  // The calling thread works too, and counts.
  auto start = [](int workers) {
    auto limit = std::make_shared<tbb::global_control>(
        tbb::global_control::max_allowed_parallelism, workers);
    return [limit](auto &&job) { job(); };
  };
  return measure(argc, argv, {fib, queens, tree, sort, uneven_loop}, start);
}
