/** The jobs as plain calls on one thread. */
final class Plain implements Way {
    @Override
    public long fib(int n) {
        return n < 2 ? n : fib(n - 1) + fib(n - 2);
    }

    @Override
    public long queens() {
        return queens(new byte[Jobs.QUEENS], 0);
    }

    private static long queens(byte[] board, int row) {
        if (row == Jobs.QUEENS) {
            return 1;
        }
        long count = 0;
        for (int column = 0; column < Jobs.QUEENS; column++) {
            if (Jobs.allows(board, row, column)) {
                board[row] = (byte) column;
                count += queens(board, row + 1);
            }
        }
        return count;
    }

    @Override
    public long tree(long node, int number) {
        long count = 1;
        for (int at = 0; at < number; at++) {
            long next = Jobs.child(node, at);
            count += tree(next, Jobs.children(next));
        }
        return count;
    }

    @Override
    public void sort(int[] numbers) {
        sort(numbers, 0, numbers.length);
    }

    private static void sort(int[] numbers, int begin, int end) {
        if (end - begin <= Jobs.FEW) {
            Jobs.sortFew(numbers, begin, end);
            return;
        }
        long between = Jobs.divide(numbers, begin, end);
        sort(numbers, begin, (int) between);
        sort(numbers, (int) (between >>> 32), end);
    }

    @Override
    public void loop(long[] results) {
        for (int at = 0; at < results.length; at++) {
            results[at] = Jobs.item(at);
        }
    }
}
