import java.lang.management.ManagementFactory;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;

/** The HashedWheelTimers of SOFAJRaft and Netty with many pending timeouts: 1 ms ticks, 2048 slots, as JRaft makes its own. */
final class Timers {
    private static final int SLOTS = 2048;
    private static final int FAR_MS = 60_000;
    private static final int SPREAD_MS = 60_000;
    private static final int SOON_MS = 3_000;
    private static final int BATCHES = 10;
    private static final int STRIDE = 7919;

    /** A task of either; one is shared by all timeouts, as our callback is. */
    abstract static class Task implements com.alipay.sofa.jraft.util.timer.TimerTask, io.netty.util.TimerTask {
        abstract void run();

        @Override
        public void run(com.alipay.sofa.jraft.util.timer.Timeout timeout) {
            run();
        }

        @Override
        public void run(io.netty.util.Timeout timeout) {
            run();
        }
    }

    static final class Nothing extends Task {
        @Override
        void run() { }
    }

    /** What the two have in common. */
    interface Wheel {
        /** Returns what cancels. */
        Object schedule(Task task, long delayMs);

        boolean cancel(Object timeout);

        void stop();
    }

    static final class Sofa implements Wheel {
        private final com.alipay.sofa.jraft.util.timer.HashedWheelTimer timer =
            new com.alipay.sofa.jraft.util.timer.HashedWheelTimer(
                java.util.concurrent.Executors.defaultThreadFactory(), 1, TimeUnit.MILLISECONDS, SLOTS);

        @Override
        public Object schedule(Task task, long delayMs) {
            return timer.newTimeout(task, delayMs, TimeUnit.MILLISECONDS);
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
        public Object schedule(Task task, long delayMs) {
            return timer.newTimeout(task, delayMs, TimeUnit.MILLISECONDS);
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

    /** Nanoseconds of each timeout, with `count` others pending. */
    static String run(String whose, int count) throws Exception {
        String crowded;
        Wheel wheel = wheel(whose);
        try {
            crowded = crowded(wheel, count);
        } finally {
            wheel.stop();
        }
        wheel = wheel(whose);
        try {
            return crowded + " expire " + expire(wheel, count);
        } finally {
            wheel.stop();
        }
    }

    private static Wheel wheel(String whose) {
        return whose.equals("netty") ? new Netty() : new Sofa();
    }

    /**
     * With `count` in their buckets, again and again a tenth of it is scheduled and as many others are cancelled. What the
     * caller waits for, and the processor time of the process until the wheel has done what it leaves for later; the first
     * batch warms up.
     */
    private static String crowded(Wheel wheel, int count) throws InterruptedException {
        Task nothing = new Nothing();
        Object[] pending = new Object[count];
        wheel.schedule(nothing, FAR_MS); // starts its thread
        long begun = System.nanoTime();
        for (int i = 0; i < count; i++) {
            pending[i] = wheel.schedule(nothing, FAR_MS + i % SPREAD_MS);
        }
        double fill = (double) (System.nanoTime() - begun) / count;
        settle(wheel);
        int batch = count / BATCHES;
        Object[] fresh = new Object[batch];
        Object[] former = new Object[batch];
        long schedule = 0;
        long scheduleCpu = 0;
        long cancel = 0;
        long cancelCpu = 0;
        for (int number = 0; number < BATCHES; number++) {
            long cpu = cpuTime();
            long started = System.nanoTime();
            for (int i = 0; i < batch; i++) {
                fresh[i] = wheel.schedule(nothing, FAR_MS + i % SPREAD_MS);
            }
            long scheduled = System.nanoTime() - started;
            settle(wheel);
            long scheduledCpu = cpuTime() - cpu;
            for (int i = 0; i < batch; i++) {
                int place = (int) ((long) (number * batch + i) * STRIDE % count); // not in the order of their memory
                former[i] = pending[place];
                pending[place] = fresh[i];
            }
            int cancelled = 0;
            cpu = cpuTime();
            started = System.nanoTime();
            for (int i = 0; i < batch; i++) {
                cancelled += wheel.cancel(former[i]) ? 1 : 0;
            }
            long ended = System.nanoTime() - started;
            settle(wheel);
            if (cancelled != batch) {
                throw new IllegalStateException("only " + cancelled + " cancelled");
            }
            if (number > 0) {
                schedule += scheduled;
                scheduleCpu += scheduledCpu;
                cancel += ended;
                cancelCpu += cpuTime() - cpu;
            }
        }
        double each = (double) batch * (BATCHES - 1);
        return "fill " + fill + " schedule " + schedule / each + " schedule-cpu " + scheduleCpu / each
            + " cancel " + cancel / each + " cancel-cpu " + cancelCpu / each;
    }

    /** Returns when the wheel's thread has put into buckets, and has taken out of them, whatever it was told to before. */
    private static void settle(Wheel wheel) throws InterruptedException {
        CountDownLatch settled = new CountDownLatch(1);
        wheel.schedule(new Task() {
            @Override
            void run() {
                settled.countDown();
            }
        }, 1);
        settled.await();
    }

    /** Nanoseconds of all threads of this process, those of the garbage collector and the compiler too. */
    private static long cpuTime() {
        return ((com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean()).getProcessCpuTime();
    }

    /** Nanoseconds of each, from when all are due until the last one has run. */
    private static double expire(Wheel wheel, int count) throws Exception {
        AtomicInteger ran = new AtomicInteger();
        long[] finished = new long[1];
        Task task = new Task() {
            @Override
            void run() {
                if (ran.incrementAndGet() == count) {
                    synchronized (finished) {
                        finished[0] = System.nanoTime();
                        finished.notifyAll();
                    }
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
