/** One way to do the jobs. */
interface Way {
    long fib(int n);

    long queens();

    long tree(long node, int number);

    void sort(int[] numbers);

    void loop(long[] results);
}
