import com.lmax.disruptor.BlockingWaitStrategy;
import com.lmax.disruptor.BusySpinWaitStrategy;
import com.lmax.disruptor.EventHandler;
import com.lmax.disruptor.RingBuffer;
import com.lmax.disruptor.SleepingWaitStrategy;
import com.lmax.disruptor.WaitStrategy;
import com.lmax.disruptor.YieldingWaitStrategy;
import com.lmax.disruptor.dsl.Disruptor;
import com.lmax.disruptor.dsl.ProducerType;
import com.lmax.disruptor.util.DaemonThreadFactory;
import java.util.concurrent.CountDownLatch;

/** The topologies of bench/core/topology.py on the LMAX Disruptor, each event checked and summed as there. */
final class Rings {
    private static final int SIZE = 1 << 16;
    private static final int NUMBER_BITS = 48;

    static final class Event {
        long value;
    }

    static final class Checker implements EventHandler<Event> {
        private final long[] expected = new long[64];
        private final CountDownLatch done;
        private final long last;
        long wrong;
        long total;

        Checker(long count, CountDownLatch done) {
            this.last = count - 1;
            this.done = done;
        }

        @Override
        public void onEvent(Event event, long sequence, boolean endOfBatch) {
            long value = event.value;
            int producer = (int) (value >> NUMBER_BITS);
            long number = value & ((1L << NUMBER_BITS) - 1);
            if (number != expected[producer]) {
                wrong++;
            }
            expected[producer]++;
            total += number;
            if (sequence == last) {
                done.countDown();
            }
        }
    }

    static String run(String topology, String strategy, long events) throws Exception {
        int producers = topology.equals("3P1C") ? 3 : 1;
        long each = events / producers;
        int consumers = topology.endsWith("1C") ? 1 : 3;
        CountDownLatch done = new CountDownLatch(consumers);
        Checker[] checkers = new Checker[consumers];
        for (int i = 0; i < consumers; i++) {
            checkers[i] = new Checker(each * producers, done);
        }
        Disruptor<Event> disruptor = new Disruptor<>(
            Event::new, SIZE, DaemonThreadFactory.INSTANCE, producers > 1 ? ProducerType.MULTI : ProducerType.SINGLE,
            strategy(strategy));
        switch (topology) {
            case "pipeline":
                disruptor.handleEventsWith(checkers[0]).then(checkers[1]).then(checkers[2]);
                break;
            case "diamond":
                disruptor.handleEventsWith(checkers[0], checkers[1]).then(checkers[2]);
                break;
            default:
                disruptor.handleEventsWith(checkers);
        }
        RingBuffer<Event> ring = disruptor.start();
        CountDownLatch go = new CountDownLatch(1);
        Thread[] threads = new Thread[producers];
        for (int i = 0; i < producers; i++) {
            long producer = i;
            threads[i] = new Thread(() -> produce(ring, go, producer, each));
            threads[i].start();
        }
        long started = System.nanoTime();
        go.countDown();
        done.await();
        long nanoseconds = System.nanoTime() - started;
        for (Thread thread : threads) {
            thread.join();
        }
        disruptor.halt();
        long wrong = 0;
        for (Checker checker : checkers) {
            wrong += checker.wrong + Math.abs(checker.total - producers * (each * (each - 1) / 2));
        }
        return "events " + each * producers + " nanoseconds " + nanoseconds + " wrong " + wrong;
    }

    private static void produce(RingBuffer<Event> ring, CountDownLatch go, long producer, long count) {
        try {
            go.await();
        } catch (InterruptedException interrupted) {
            return;
        }
        long mark = producer << NUMBER_BITS;
        for (long number = 0; number < count; number++) {
            long sequence = ring.next();
            ring.get(sequence).value = mark | number;
            ring.publish(sequence);
        }
    }

    private static WaitStrategy strategy(String name) {
        switch (name) {
            case "yield":
                return new YieldingWaitStrategy();
            case "block":
                return new BlockingWaitStrategy();
            case "sleep":
                return new SleepingWaitStrategy();
            case "busy-spin":
                return new BusySpinWaitStrategy();
            default:
                throw new IllegalArgumentException(name);
        }
    }

    private Rings() {}
}
