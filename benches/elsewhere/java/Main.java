/**
 * Java's side of the comparison: {@code Main WAY JOB WORKERS} warms up, measures one run, and
 * prints nanoseconds and the result. WAY is {@code plain} or {@code forked}.
 */
public final class Main {
    /** So long, and for two runs at least, Java has time to compile what it interprets at first. */
    private static final long WARM_UP = 1_000_000_000L;

    private static long result;

    private Main() {}

    public static void main(String[] arguments) {
        if (arguments.length != 3) {
            System.err.println("usage: Main WAY JOB WORKERS");
            System.exit(1);
        }
        boolean isPlain = arguments[0].equals("plain");
        Way way = isPlain ? new Plain() : new Forked(Integer.parseInt(arguments[2]));
        long begin = System.nanoTime();
        for (int run = 0; run < 2 || System.nanoTime() - begin < WARM_UP; run++) {
            run(way, arguments[1]);
        }
        long taken = run(way, arguments[1]);
        System.out.println(taken + " " + Long.toUnsignedString(result));
    }

    /** Gives the nanoseconds, and leaves the result. */
    private static long run(Way way, String job) {
        int[] numbers = job.equals("sort") ? Jobs.numbers() : null;
        // What the run before left is not collected in this one.
        System.gc();
        long begin = System.nanoTime();
        switch (job) {
            case "fib" -> result = way.fib(Jobs.FIB);
            case "queens" -> result = way.queens();
            case "tree" -> result = way.tree(Jobs.mix(Jobs.TREE_SEED), Jobs.ROOT_CHILDREN);
            case "sort" -> way.sort(numbers);
            case "loop" -> {
                long[] results = new long[Jobs.ITEMS];
                way.loop(results);
                result = Jobs.sum(results);
            }
            default -> throw new IllegalArgumentException(job);
        }
        long taken = System.nanoTime() - begin;
        if (numbers != null) {
            result = Jobs.digest(numbers);
        }
        return taken;
    }
}
