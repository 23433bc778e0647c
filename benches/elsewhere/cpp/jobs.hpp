// What the jobs are made of, as in ../corepool/jobs.rs, and how each is measured.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

constexpr std::uint64_t FIB = 32;
constexpr int QUEENS = 12;
constexpr std::uint64_t TREE_SEED = 1;
constexpr int ROOT_CHILDREN = 2000;
constexpr int CHILDREN = 8;
constexpr std::uint64_t CHANCE = 535'500'000;
constexpr std::uint64_t NUMBERS = 10'000'000;
constexpr std::ptrdiff_t FEW = 32;
constexpr std::uint64_t ITEMS = 20'000;

inline std::uint64_t mix(std::uint64_t seed) {
  std::uint64_t z = seed + 0x9E3779B97F4A7C15;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return z ^ (z >> 31);
}

struct Board {
  std::array<std::int8_t, QUEENS> columns{};

  Board with(int row, int column) const {
    Board next = *this;
    next.columns[row] = static_cast<std::int8_t>(column);
    return next;
  }

  bool allows(int row, int column) const {
    for (int earlier = 0; earlier < row; earlier++) {
      int distance = row - earlier, apart = column - columns[earlier];
      if (apart == 0 || apart == distance || apart == -distance) return false;
    }
    return true;
  }
};

inline int children(std::uint64_t node) { return (node >> 32) < CHANCE ? CHILDREN : 0; }

inline std::uint64_t child(std::uint64_t node, int number) {
  return mix(node + static_cast<std::uint64_t>(number));
}

// The numbers from `begin` to before `end`.
struct Slice {
  std::int32_t *begin, *end;

  std::ptrdiff_t size() const { return end - begin; }
};

inline void sort_few(Slice numbers) {
  for (std::int32_t *end = numbers.begin + 1; end < numbers.end; end++) {
    std::int32_t number = *end, *at = end;
    for (; at > numbers.begin && at[-1] > number; at--) *at = at[-1];
    *at = number;
  }
}

inline std::pair<Slice, Slice> divide(Slice numbers) {
  std::int32_t pivot = numbers.begin[numbers.size() / 2];
  std::int32_t *from = numbers.begin, *to = numbers.end;
  while (from < to) {
    while (*from < pivot) from++;
    while (to[-1] > pivot) to--;
    if (from < to) std::swap(*from++, *--to);
  }
  return {{numbers.begin, to}, {from, numbers.end}};
}

inline std::uint64_t item(std::uint64_t number) {
  bool is_dear = (mix(number) >> 1) % 100 == 0;
  std::uint64_t steps = number / 16 * (is_dear ? 1000 : 1), state = number;
  for (; steps > 0; steps--) {
    state = state * 6364136223846793005 + 1442695040888963407;
    state ^= state >> 29;
  }
  return state;
}

inline std::uint64_t sum(const std::uint64_t *counts, std::size_t length) {
  std::uint64_t sum = 0;
  for (std::size_t at = 0; at < length; at++) sum += counts[at];
  return sum;
}

// One way to do the jobs.
struct Way {
  std::uint64_t (*fib)(std::uint64_t);
  std::uint64_t (*queens)(const Board &, int row);
  std::uint64_t (*tree)(std::uint64_t node, int children);
  void (*sort)(Slice);
  void (*uneven_loop)(std::vector<std::uint64_t> &results);
};

inline std::uint64_t digest(const std::vector<std::int32_t> &numbers) {
  std::uint64_t sum = 0;
  for (std::size_t at = 0; at < numbers.size(); at++) {
    if (at > 0 && numbers[at - 1] > numbers[at]) std::exit(3);
    sum += (at + 1) * static_cast<std::uint64_t>(numbers[at]);
  }
  return sum;
}

// Runs a job once, by way of `enter`, which calls what it is given where the pool's work is done.
template <typename Enter>
std::pair<long long, std::uint64_t> run(const Way &way, const std::string &job, Enter &enter) {
  std::vector<std::int32_t> numbers;
  std::vector<std::uint64_t> results;
  if (job == "sort") {
    for (std::uint64_t at = 0; at < NUMBERS; at++) {
      numbers.push_back(static_cast<std::int32_t>(mix(at) >> 33));
    }
  }
  std::uint64_t result = 0;
  // Hidden from the compiler, which could compute it beforehand.
  volatile std::uint64_t fib = FIB;
  auto begin = std::chrono::steady_clock::now();
  enter([&] {
    if (job == "fib") result = way.fib(fib);
    if (job == "queens") result = way.queens(Board{}, 0);
    if (job == "tree") result = way.tree(mix(TREE_SEED), ROOT_CHILDREN);
    if (job == "sort") way.sort({numbers.data(), numbers.data() + numbers.size()});
    if (job == "loop") {
      results.resize(ITEMS);
      way.uneven_loop(results);
      result = sum(results.data(), ITEMS);
    }
  });
  std::chrono::nanoseconds time = std::chrono::steady_clock::now() - begin;
  return {time.count(), job == "sort" ? digest(numbers) : result};
}

// PROGRAM JOB WORKERS: one warm-up, then one measured run. `start` makes an `enter` as above for so
// many workers.
template <typename Start> int measure(int argc, char **argv, const Way &way, Start start) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: %s JOB WORKERS\n", argv[0]);
    return 1;
  }
  auto enter = start(std::atoi(argv[2]));
  run(way, argv[1], enter);
  auto [nanoseconds, result] = run(way, argv[1], enter);
  std::printf("%lld %llu\n", nanoseconds, static_cast<unsigned long long>(result));
  return 0;
}
