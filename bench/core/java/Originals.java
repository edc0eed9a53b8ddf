import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;

/**
 * Runs the scenarios of `python -m bench core` on the Java originals. One process serves all rounds, so that what the JIT has
 * learnt in the warm-up stays: each line of standard input is a command, its answer one line of figures, "name value name value …".
 */
public final class Originals {
    public static void main(String[] arguments) throws Exception {
        BufferedReader commands = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        System.out.println("ready");
        for (String line = commands.readLine(); line != null; line = commands.readLine()) {
            String[] words = line.trim().split(" ");
            System.out.println(answer(words));
            System.out.flush();
            System.gc(); // what a round has left over is not paid for by the next
        }
        System.exit(0);
    }

    private static String answer(String[] words) {
        try {
            switch (words[0]) {
                case "ring": // topology strategy events
                    return Rings.run(words[1], words[2], Long.parseLong(words[3]));
                case "timer": // whose timeouts
                    return Timers.run(words[1], Integer.parseInt(words[2]));
                case "log": // directory, bytes of an entry, entries of a batch, seconds
                    return Logs.run(words[1], Integer.parseInt(words[2]), Integer.parseInt(words[3]), Double.parseDouble(words[4]));
                default:
                    return "error unknown command " + words[0];
            }
        } catch (Exception | Error failed) {
            return "error " + failed;
        }
    }
}
