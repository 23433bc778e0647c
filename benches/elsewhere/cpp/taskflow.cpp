// The jobs by Taskflow 3.9, as Debian has it: tasks of a `Runtime`, `for_each_index` for the loop.
#include "jobs.hpp"

#include <memory>
#include <taskflow/algorithm/for_each.hpp>
#include <taskflow/taskflow.hpp>

static std::unique_ptr<tf::Executor> executor;

static std::uint64_t fib(std::uint64_t n, tf::Runtime &runtime) {
  if (n < 2) return n;
  std::uint64_t a, b;
  runtime.silent_async([&a, n](tf::Runtime &inner) { a = fib(n - 1, inner); });
  b = fib(n - 2, runtime);
  runtime.corun_all();
  return a + b;
}

static std::uint64_t queens(const Board &board, int row, tf::Runtime &runtime) {
  if (row == QUEENS) return 1;
  std::uint64_t counts[QUEENS] = {};
  for (int column = 0; column < QUEENS; column++) {
    if (board.allows(row, column)) {
      runtime.silent_async([&board, &counts, row, column](tf::Runtime &inner) {
        counts[column] = queens(board.with(row, column), row + 1, inner);
      });
    }
  }
  runtime.corun_all();
  return sum(counts, QUEENS);
}

static std::uint64_t visit_all(std::uint64_t node, std::uint64_t *counts, int number,
                               tf::Runtime &runtime);

static std::uint64_t visit(std::uint64_t node, tf::Runtime &runtime) {
  std::uint64_t counts[CHILDREN];
  int number = children(node);
  return number == 0 ? 1 : visit_all(node, counts, number, runtime);
}

static std::uint64_t visit_all(std::uint64_t node, std::uint64_t *counts, int number,
                               tf::Runtime &runtime) {
  for (int at = 0; at < number; at++) {
    runtime.silent_async(
        [=](tf::Runtime &inner) { counts[at] = visit(child(node, at), inner); });
  }
  runtime.corun_all();
  return 1 + sum(counts, number);
}

static void sort(Slice numbers, tf::Runtime &runtime) {
  if (numbers.size() <= FEW) return sort_few(numbers);
  auto [before, after] = divide(numbers);
  runtime.silent_async([half = before](tf::Runtime &inner) { sort(half, inner); });
  sort(after, runtime);
  runtime.corun_all();
}

// Runs a task that is told its runtime, and waits for it.
template <typename Job> static void enter(Job job) {
  tf::Taskflow flow;
  flow.emplace([&](tf::Runtime &runtime) { job(runtime); });
  executor->run(flow).wait();
}

static std::uint64_t enter_fib(std::uint64_t n) {
  std::uint64_t result;
  enter([&](tf::Runtime &runtime) { result = fib(n, runtime); });
  return result;
}

static std::uint64_t enter_queens(const Board &board, int row) {
  std::uint64_t result;
  enter([&](tf::Runtime &runtime) { result = queens(board, row, runtime); });
  return result;
}

static std::uint64_t enter_tree(std::uint64_t root, int number) {
  std::vector<std::uint64_t> counts(number);
  std::uint64_t result;
  enter([&](tf::Runtime &runtime) { result = visit_all(root, counts.data(), number, runtime); });
  return result;
}

static void enter_sort(Slice numbers) {
  enter([=](tf::Runtime &runtime) { sort(numbers, runtime); });
}

static void uneven_loop(std::vector<std::uint64_t> &results) {
  tf::Taskflow flow;
  flow.for_each_index(std::uint64_t{0}, ITEMS, std::uint64_t{1},
                      [&](std::uint64_t at) { results[at] = item(at); });
  executor->run(flow).wait();
}

int main(int argc, char **argv) {
  auto start = [](int workers) {
    executor = std::make_unique<tf::Executor>(workers);
    return [](auto &&job) { job(); };
  };
  return measure(argc, argv, {enter_fib, enter_queens, enter_tree, enter_sort, uneven_loop}, start);
}
