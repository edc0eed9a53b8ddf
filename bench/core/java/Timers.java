import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/** The HashedWheelTimers of SOFAJRaft and Netty with many pending timeouts: 1 ms ticks, 2048 slots, as JRaft makes its own. */
final class Timers {
    private static final int SLOTS = 2048;
    private static final int FAR_MS = 60_000;
    private static final int SPREAD_MS = 60_000;
    private static final int SOON_MS = 3_000;
    private static final int SETTLE_MS = 200;
    private static final int STRIDE = 7919;

    /** What the two have in common. */
    interface Wheel {
        /** Returns what cancels. */
        Object schedule(Runnable task, long delayMs);

        boolean cancel(Object timeout);

        void stop();
    }

    static final class Sofa implements Wheel {
        private final com.alipay.sofa.jraft.util.timer.HashedWheelTimer timer =
            new com.alipay.sofa.jraft.util.timer.HashedWheelTimer(
                java.util.concurrent.Executors.defaultThreadFactory(), 1, TimeUnit.MILLISECONDS, SLOTS);

        @Override
        public Object schedule(Runnable task, long delayMs) {
            return timer.newTimeout(timeout -> task.run(), delayMs, TimeUnit.MILLISECONDS);
        }

        @Override
        public boolean cancel(Object timeout) {
            return ((com.alipay.sofa.jraft.util.timer.Timeout) timeout).cancel();
        }

        @Override
        public void stop() {
            timer.stop();
        }
    }

    static final class Netty implements Wheel {
        private final io.netty.util.HashedWheelTimer timer = new io.netty.util.HashedWheelTimer(1, TimeUnit.MILLISECONDS, SLOTS);

        @Override
        public Object schedule(Runnable task, long delayMs) {
            return timer.newTimeout(timeout -> task.run(), delayMs, TimeUnit.MILLISECONDS);
        }

        @Override
        public boolean cancel(Object timeout) {
            return ((io.netty.util.Timeout) timeout).cancel();
        }

        @Override
        public void stop() {
            timer.stop();
        }
    }

    /** Nanoseconds to schedule, to cancel and to run out, for each of `count` that are pending together. */
    static String run(String whose, int count) throws Exception {
        Runnable nothing = () -> { };
        Object[] timeouts = new Object[count];
        double schedule;
        double cancel;
        Wheel wheel = wheel(whose);
        try {
            wheel.schedule(nothing, FAR_MS); // starts its thread
            long started = System.nanoTime();
            for (int i = 0; i < count; i++) {
                timeouts[i] = wheel.schedule(nothing, FAR_MS + i % SPREAD_MS);
            }
            schedule = (double) (System.nanoTime() - started) / count;
            Thread.sleep(SETTLE_MS); // its thread moves them to the buckets, 100 000 a tick
            started = System.nanoTime();
            int cancelled = 0;
            for (long i = 0; i < count; i++) {
                cancelled += wheel.cancel(timeouts[(int) (i * STRIDE % count)]) ? 1 : 0; // not in the order of their memory
            }
            cancel = (double) (System.nanoTime() - started) / count;
            if (cancelled != count) {
                return "error only " + cancelled + " cancelled";
            }
        } finally {
            wheel.stop();
        }
        wheel = wheel(whose);
        try {
            return "schedule " + schedule + " cancel " + cancel + " expire " + expire(wheel, count);
        } finally {
            wheel.stop();
        }
    }

    private static Wheel wheel(String whose) {
        return whose.equals("netty") ? new Netty() : new Sofa();
    }

    /** Nanoseconds of each, from when all are due until the last one has run. */
    private static double expire(Wheel wheel, int count) throws Exception {
        AtomicInteger ran = new AtomicInteger();
        long[] finished = new long[1];
        Runnable task = () -> {
            if (ran.incrementAndGet() == count) {
                synchronized (finished) {
                    finished[0] = System.nanoTime();
                    finished.notifyAll();
                }
            }
        };
        long due = System.nanoTime() + SOON_MS * 1_000_000L;
        for (int i = 0; i < count; i++) {
            wheel.schedule(task, Math.max(0, (due - System.nanoTime()) / 1_000_000));
        }
        if (System.nanoTime() > due) {
            throw new IllegalStateException("they were due before all were scheduled");
        }
        synchronized (finished) {
            while (finished[0] == 0) {
                finished.wait();
            }
        }
        return (double) (finished[0] - due) / count;
    }

    private Timers() {}
}
