import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ForkJoinPool;
import java.util.concurrent.RecursiveAction;
import java.util.concurrent.RecursiveTask;

/** The jobs by tasks of a ForkJoinPool: parts are forked, or given to {@code invokeAll}. */
final class Forked implements Way {
    private final ForkJoinPool pool;

    Forked(int workers) {
        pool = new ForkJoinPool(workers);
    }

    @Override
    public long fib(int n) {
        return pool.invoke(new Fib(n));
    }

    @Override
    public long queens() {
        return pool.invoke(new Queens(new byte[Jobs.QUEENS], 0));
    }

    @Override
    public long tree(long node, int number) {
        return pool.invoke(new Tree(node, number));
    }

    @Override
    public void sort(int[] numbers) {
        pool.invoke(new Sort(numbers, 0, numbers.length));
    }

    @Override
    public void loop(long[] results) {
        pool.invoke(new Loop(results, 0, results.length));
    }

    private static final class Fib extends RecursiveTask<Long> {
        private final int n;

        Fib(int n) {
            this.n = n;
        }

        @Override
        protected Long compute() {
            if (n < 2) {
                return (long) n;
            }
            Fib a = new Fib(n - 1);
            a.fork();
            long b = new Fib(n - 2).compute();
            return a.join() + b;
        }
    }

    private static final class Queens extends RecursiveTask<Long> {
        private final byte[] board;
        private final int row;

        Queens(byte[] board, int row) {
            this.board = board;
            this.row = row;
        }

        @Override
        protected Long compute() {
            if (row == Jobs.QUEENS) {
                return 1L;
            }
            List<Queens> parts = new ArrayList<>();
            for (int column = 0; column < Jobs.QUEENS; column++) {
                if (Jobs.allows(board, row, column)) {
                    parts.add(new Queens(Jobs.with(board, row, column), row + 1));
                }
            }
            return sum(parts);
        }
    }

    private static final class Tree extends RecursiveTask<Long> {
        private final long node;
        private final int number;

        Tree(long node, int number) {
            this.node = node;
            this.number = number;
        }

        @Override
        protected Long compute() {
            if (number == 0) {
                return 1L;
            }
            List<Tree> parts = new ArrayList<>(number);
            for (int at = 0; at < number; at++) {
                long next = Jobs.child(node, at);
                parts.add(new Tree(next, Jobs.children(next)));
            }
            return 1 + sum(parts);
        }
    }

    private static <T extends RecursiveTask<Long>> long sum(List<T> parts) {
        long sum = 0;
        for (T part : RecursiveTask.invokeAll(parts)) {
            sum += part.join();
        }
        return sum;
    }

    private static final class Sort extends RecursiveAction {
        private final int[] numbers;
        private final int begin;
        private final int end;

        Sort(int[] numbers, int begin, int end) {
            this.numbers = numbers;
            this.begin = begin;
            this.end = end;
        }

        @Override
        protected void compute() {
            if (end - begin <= Jobs.FEW) {
                Jobs.sortFew(numbers, begin, end);
                return;
            }
            long between = Jobs.divide(numbers, begin, end);
            invokeAll(
                    new Sort(numbers, begin, (int) between),
                    new Sort(numbers, (int) (between >>> 32), end));
        }
    }

    /** Halves down to single items, as there is no loop in this pool. */
    private static final class Loop extends RecursiveAction {
        private final long[] results;
        private final int begin;
        private final int end;

        Loop(long[] results, int begin, int end) {
            this.results = results;
            this.begin = begin;
            this.end = end;
        }

        @Override
        protected void compute() {
            if (end - begin == 1) {
                results[begin] = Jobs.item(begin);
                return;
            }
            int middle = (begin + end) >>> 1;
            invokeAll(new Loop(results, begin, middle), new Loop(results, middle, end));
        }
    }
}
