import com.alipay.sofa.jraft.conf.ConfigurationManager;
import com.alipay.sofa.jraft.entity.EnumOutter.EntryType;
import com.alipay.sofa.jraft.entity.LogEntry;
import com.alipay.sofa.jraft.entity.LogId;
import com.alipay.sofa.jraft.entity.codec.v2.LogEntryV2CodecFactory;
import com.alipay.sofa.jraft.option.LogStorageOptions;
import com.alipay.sofa.jraft.option.RaftOptions;
import com.alipay.sofa.jraft.storage.impl.RocksDBLogStorage;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/** Batches of entries appended to SOFAJRaft's RocksDBLogStorage, which syncs each (the default of RaftOptions). */
final class Logs {
    static String run(String directory, int bytes, int batch, double seconds) {
        RocksDBLogStorage storage = new RocksDBLogStorage(directory, new RaftOptions());
        LogStorageOptions options = new LogStorageOptions();
        options.setConfigurationManager(new ConfigurationManager());
        options.setLogEntryCodecFactory(LogEntryV2CodecFactory.getInstance());
        if (!storage.init(options)) {
            return "error the storage does not open";
        }
        try {
            byte[] data = new byte[bytes];
            new Random(1).nextBytes(data);
            long index = 1;
            long appends = 0;
            long nanoseconds = 0;
            while (nanoseconds < seconds * 1e9) {
                List<LogEntry> entries = new ArrayList<>(batch);
                for (int i = 0; i < batch; i++) {
                    LogEntry entry = new LogEntry(EntryType.ENTRY_TYPE_DATA);
                    entry.setId(new LogId(index++, 1));
                    entry.setData(ByteBuffer.wrap(data));
                    entries.add(entry);
                }
                long started = System.nanoTime();
                int appended = storage.appendEntries(entries);
                nanoseconds += System.nanoTime() - started;
                if (appended != batch) {
                    return "error " + appended + " of " + batch + " appended";
                }
                appends++;
            }
            return "appends " + appends + " nanoseconds " + nanoseconds;
        } finally {
            storage.shutdown();
        }
    }

    private Logs() {}
}
