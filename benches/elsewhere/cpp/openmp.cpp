// The jobs by OpenMP: tasks, and a dynamic schedule for the loop.
#include "jobs.hpp"

#include <omp.h>

static std::uint64_t fib(std::uint64_t n) {
  if (n < 2) return n;
  std::uint64_t a, b;
#pragma omp task shared(a)
  a = fib(n - 1);
  b = fib(n - 2);
#pragma omp taskwait
  return a + b;
}

static std::uint64_t queens(const Board &board, int row) {
  if (row == QUEENS) return 1;
  std::uint64_t counts[QUEENS] = {};
  for (int column = 0; column < QUEENS; column++) {
    if (board.allows(row, column)) {
#pragma omp task shared(counts, board) firstprivate(row, column)
      counts[column] = queens(board.with(row, column), row + 1);
    }
  }
#pragma omp taskwait
  return sum(counts, QUEENS);
}

static std::uint64_t visit_all(std::uint64_t node, std::uint64_t *counts, int number);

static std::uint64_t visit(std::uint64_t node) {
  std::uint64_t counts[CHILDREN];
  int number = children(node);
  return number == 0 ? 1 : visit_all(node, counts, number);
}

static std::uint64_t visit_all(std::uint64_t node, std::uint64_t *counts, int number) {
  for (int at = 0; at < number; at++) {
#pragma omp task firstprivate(node, counts, at)
    counts[at] = visit(child(node, at));
  }
#pragma omp taskwait
  return 1 + sum(counts, number);
}

static std::uint64_t tree(std::uint64_t root, int number) {
  std::vector<std::uint64_t> counts(number);
  return visit_all(root, counts.data(), number);
}

static void sort(Slice numbers) {
  if (numbers.size() <= FEW) return sort_few(numbers);
  auto [before, after] = divide(numbers);
  Slice half = before;
#pragma omp task firstprivate(half)
  sort(half);
  sort(after);
#pragma omp taskwait
}

static void uneven_loop(std::vector<std::uint64_t> &results) {
#pragma omp parallel for schedule(dynamic)
  for (std::uint64_t at = 0; at < ITEMS; at++) results[at] = item(at);
}

int main(int argc, char **argv) {
  // The loop opens a region of its own; what has tasks is entered by one thread of a region.
  bool has_tasks = argc > 1 && argv[1] != std::string("loop");
  auto start = [=](int workers) {
    omp_set_num_threads(workers);
    return [=](auto &&job) {
      if (!has_tasks) return job();
#pragma omp parallel
#pragma omp single
      job();
    };
  };
  return measure(argc, argv, {fib, queens, tree, sort, uneven_loop}, start);
}
