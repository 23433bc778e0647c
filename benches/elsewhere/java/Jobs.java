/** What the jobs are made of; ../corepool/jobs.rs has the same, with comments. */
final class Jobs {
    static final int FIB = 32;
    static final int QUEENS = 12;
    static final long TREE_SEED = 1;
    static final int ROOT_CHILDREN = 2000;
    static final int CHILDREN = 8;
    static final long CHANCE = 535_500_000;
    static final int NUMBERS = 10_000_000;
    static final int FEW = 32;
    static final int ITEMS = 20_000;

    private Jobs() {}

    static long mix(long seed) {
        long z = seed + 0x9E3779B97F4A7C15L;
        z = (z ^ (z >>> 30)) * 0xBF58476D1CE4E5B9L;
        z = (z ^ (z >>> 27)) * 0x94D049BB133111EBL;
        return z ^ (z >>> 31);
    }

    /** A copy of the board with one more queen. */
    static byte[] with(byte[] board, int row, int column) {
        byte[] next = board.clone();
        next[row] = (byte) column;
        return next;
    }

    static boolean allows(byte[] board, int row, int column) {
        for (int earlier = 0; earlier < row; earlier++) {
            int distance = row - earlier;
            int apart = column - board[earlier];
            if (apart == 0 || apart == distance || apart == -distance) {
                return false;
            }
        }
        return true;
    }

    static int children(long node) {
        return node >>> 32 < CHANCE ? CHILDREN : 0;
    }

    static long child(long node, int number) {
        return mix(node + number);
    }

    static int[] numbers() {
        int[] numbers = new int[NUMBERS];
        for (int at = 0; at < NUMBERS; at++) {
            numbers[at] = (int) (mix(at) >>> 33);
        }
        return numbers;
    }

    static long digest(int[] numbers) {
        long sum = 0;
        for (int at = 0; at < numbers.length; at++) {
            if (at > 0 && numbers[at - 1] > numbers[at]) {
                throw new IllegalStateException("the numbers are out of order");
            }
            sum += (at + 1L) * numbers[at];
        }
        return sum;
    }

    /** Sorts the numbers from {@code begin} to before {@code end}. */
    static void sortFew(int[] numbers, int begin, int end) {
        for (int next = begin + 1; next < end; next++) {
            int number = numbers[next];
            int at = next;
            for (; at > begin && numbers[at - 1] > number; at--) {
                numbers[at] = numbers[at - 1];
            }
            numbers[at] = number;
        }
    }

    /** Gives where the small numbers end, and, in the upper half, where the great ones begin. */
    static long divide(int[] numbers, int begin, int end) {
        int pivot = numbers[begin + (end - begin) / 2];
        int from = begin;
        int to = end;
        while (from < to) {
            while (numbers[from] < pivot) {
                from++;
            }
            while (numbers[to - 1] > pivot) {
                to--;
            }
            if (from < to) {
                int number = numbers[from];
                numbers[from++] = numbers[--to];
                numbers[to] = number;
            }
        }
        return (long) from << 32 | to;
    }

    static long item(long number) {
        boolean isDear = (mix(number) >>> 1) % 100 == 0;
        long state = number;
        for (long steps = number / 16 * (isDear ? 1000 : 1); steps > 0; steps--) {
            state = state * 6364136223846793005L + 1442695040888963407L;
            state ^= state >>> 29;
        }
        return state;
    }

    static long sum(long[] results) {
        long sum = 0;
        for (long result : results) {
            sum += result;
        }
        return sum;
    }
}
