import com.alipay.sofa.jraft.Iterator;
import com.alipay.sofa.jraft.Node;
import com.alipay.sofa.jraft.RaftGroupService;
import com.alipay.sofa.jraft.Status;
import com.alipay.sofa.jraft.closure.ReadIndexClosure;
import com.alipay.sofa.jraft.conf.Configuration;
import com.alipay.sofa.jraft.core.StateMachineAdapter;
import com.alipay.sofa.jraft.entity.PeerId;
import com.alipay.sofa.jraft.entity.Task;
import com.alipay.sofa.jraft.option.NodeOptions;
import java.io.BufferedReader;
import java.io.File;
import java.io.InputStreamReader;
import java.net.ServerSocket;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;

/**
 * Three SOFAJRaft nodes on loopback in this JVM, as they come (sync on, RocksDB log), and the load on the one that leads. Each
 * line of standard input is a command, its answer one line of figures, "name value name value …".
 */
public final class RaftNodes {
    private static final String GROUP = "bench";
    private static final int NODES = 3;
    private static final int ELECTION_TIMEOUT_MS = 1000;
    private static final int LEADER_MS_MAX = 20_000;
    private static final int LATENCIES_MAX = 4_000_000;

    private final List<RaftGroupService> services = new ArrayList<>();
    private final List<Node> nodes = new ArrayList<>();

    /** Applies nothing and tells who proposed. */
    static final class Counter extends StateMachineAdapter {
        @Override
        public void onApply(Iterator entries) {
            while (entries.hasNext()) {
                if (entries.done() != null) {
                    entries.done().run(Status.OK());
                }
                entries.next();
            }
        }
    }

    /** Keeps so many requests in flight, and how long each took. */
    private static final class Load {
        private final Semaphore free;
        private final int[] microseconds = new int[LATENCIES_MAX];
        private final AtomicInteger done = new AtomicInteger();
        private final AtomicReference<String> failure = new AtomicReference<>();
        private final int inFlight;

        Load(int inFlight) {
            this.inFlight = inFlight;
            this.free = new Semaphore(inFlight);
        }

        void finished(Status status, long started) {
            if (status.isOk()) {
                int number = done.getAndIncrement();
                if (number < LATENCIES_MAX) {
                    microseconds[number] = (int) ((System.nanoTime() - started) / 1000);
                }
            } else {
                failure.set(status.toString());
            }
            free.release();
        }

        String run(double seconds, java.util.function.LongConsumer request) throws InterruptedException {
            long begun = System.nanoTime();
            long end = begun + (long) (seconds * 1e9);
            while (true) {
                free.acquire();
                long started = System.nanoTime();
                if (started >= end || failure.get() != null) {
                    break;
                }
                request.accept(started);
            }
            free.acquire(inFlight - 1);
            double took = (System.nanoTime() - begun) / 1e9;
            if (failure.get() != null) {
                return "error " + failure.get();
            }
            int count = done.get();
            int[] sorted = Arrays.copyOf(microseconds, Math.min(count, LATENCIES_MAX));
            Arrays.sort(sorted);
            return "rate " + count / took + " p50 " + sorted[(int) (0.5 * sorted.length)] / 1000.0
                + " p99 " + sorted[(int) (0.99 * sorted.length)] / 1000.0;
        }
    }

    public static void main(String[] arguments) throws Exception {
        BufferedReader commands = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        RaftNodes nodes = new RaftNodes(new File(arguments[0]));
        nodes.leader();
        System.out.println("ready");
        for (String line = commands.readLine(); line != null; line = commands.readLine()) {
            String[] words = line.trim().split(" ");
            System.out.println(nodes.answer(words));
            System.out.flush();
        }
        nodes.stop();
        System.exit(0);
    }

    RaftNodes(File directory) throws Exception {
        Configuration configuration = new Configuration();
        List<PeerId> peers = new ArrayList<>();
        List<ServerSocket> reserved = new ArrayList<>();
        for (int i = 0; i < NODES; i++) {
            reserved.add(new ServerSocket(0));
        }
        for (ServerSocket socket : reserved) {
            peers.add(new PeerId("127.0.0.1", socket.getLocalPort()));
            socket.close();
        }
        peers.forEach(configuration::addPeer);
        for (PeerId peer : peers) {
            File home = new File(directory, Integer.toString(peer.getPort()));
            if (!home.mkdirs()) {
                throw new IllegalStateException("cannot make " + home);
            }
            NodeOptions options = new NodeOptions();
            options.setInitialConf(configuration);
            options.setElectionTimeoutMs(ELECTION_TIMEOUT_MS);
            options.setFsm(new Counter());
            options.setLogUri(new File(home, "log").getPath());
            options.setRaftMetaUri(new File(home, "meta").getPath());
            RaftGroupService service = new RaftGroupService(GROUP, peer, options);
            services.add(service);
            nodes.add(service.start());
        }
    }

    private String answer(String[] words) {
        try {
            int inFlight = Integer.parseInt(words[1]);
            double seconds = Double.parseDouble(words[2]);
            Node leader = leader();
            switch (words[0]) {
                case "commit": // in flight, seconds, bytes of an entry
                    return commit(leader, inFlight, seconds, Integer.parseInt(words[3]));
                case "read": // in flight, seconds
                    return read(leader, inFlight, seconds);
                default:
                    return "error unknown command " + words[0];
            }
        } catch (Exception | Error failed) {
            return "error " + failed;
        }
    }

    /** Waits until one leads. */
    private Node leader() throws InterruptedException {
        for (int waited = 0; waited < LEADER_MS_MAX; waited += 10) {
            for (Node node : nodes) {
                if (node.isLeader()) {
                    return node;
                }
            }
            Thread.sleep(10);
        }
        throw new IllegalStateException("nobody leads");
    }

    private static String commit(Node leader, int inFlight, double seconds, int bytes) throws InterruptedException {
        byte[] data = new byte[bytes];
        new Random(1).nextBytes(data);
        Load load = new Load(inFlight);
        return load.run(seconds, started ->
            leader.apply(new Task(ByteBuffer.wrap(data), status -> load.finished(status, started))));
    }

    private static String read(Node leader, int inFlight, double seconds) throws InterruptedException {
        byte[] context = new byte[0];
        Load load = new Load(inFlight);
        return load.run(seconds, started -> leader.readIndex(context, new ReadIndexClosure() {
            @Override
            public void run(Status status, long index, byte[] request) {
                load.finished(status, started);
            }
        }));
    }

    private void stop() throws InterruptedException {
        for (RaftGroupService service : services) {
            service.shutdown();
        }
    }
}
