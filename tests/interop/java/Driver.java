import com.alibaba.nacos.api.NacosFactory;
import com.alibaba.nacos.api.config.ConfigService;
import com.alibaba.nacos.api.config.listener.Listener;
import com.alibaba.nacos.api.naming.NamingService;
import com.alibaba.nacos.api.naming.listener.EventListener;
import com.alibaba.nacos.api.naming.listener.NamingEvent;
import com.alibaba.nacos.api.naming.pojo.Instance;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.Executor;

/** Drives nacos-client 1.4, 2.x and 3.x with one source. See tests/interop/__init__.py for the protocol. */
public final class Driver {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final long TIMEOUT_MS = 5000;
    private static PrintStream out;

    private final String name;
    private final Map<String, EventListener> subscriptions = new HashMap<>();
    private final Map<String, Listener> listeners = new HashMap<>();
    private NamingService naming;
    private ConfigService config;

    private Driver(String name) {
        this.name = name;
    }

    public static void main(String[] arguments) throws Exception {
        out = new PrintStream(System.out, true, "UTF-8");
        System.setOut(System.err); // what the SDK prints
        say("sdk", "nacos-client", "version", version());
        Map<String, Driver> clients = new HashMap<>();
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            JsonNode command = JSON.readTree(line);
            String client = command.get("client").asText();
            try {
                Driver driver = clients.computeIfAbsent(client, Driver::new);
                say("id", command.get("id").asInt(), "value", driver.answer(command));
            } catch (InvocationTargetException error) {
                say("id", command.get("id").asInt(), "error", String.valueOf(error.getCause()));
            } catch (Exception error) {
                say("id", command.get("id").asInt(), "error", error.toString());
            }
        }
        System.exit(0);
    }

    private Object answer(JsonNode command) throws Exception {
        String service = text(command, "service");
        String group = text(command, "group");
        String dataId = text(command, "data_id");
        String content = text(command, "content");
        switch (command.get("do").asText()) {
            case "open":
                open(command);
                return null;
            case "close":
                new Thread(this::close).start(); // 1.4 takes ten seconds for it; nobody needs to wait
                return null;
            case "register":
                naming.registerInstance(service, group, instance(command.get("instance")));
                return true;
            case "deregister":
                naming.deregisterInstance(service, group, instance(command.get("instance")));
                return true;
            case "batch":
                return several("batchRegisterInstance", service, group, command);
            case "batch_remove":
                return several("batchDeregisterInstance", service, group, command);
            case "select":
                return select(service, group, clusters(command), command.get("healthy").asBoolean());
            case "one":
                return seen(naming.selectOneHealthyInstance(service, group, clusters(command), false));
            case "subscribe":
                subscribe(service, group, clusters(command));
                return null;
            case "unsubscribe":
                naming.unsubscribe(service, group, clusters(command), subscriptions.remove(group + "@@" + service));
                return null;
            case "publish":
                return config.publishConfig(dataId, group, content);
            case "cas":
                return ConfigService.class
                        .getMethod("publishConfigCas", String.class, String.class, String.class, String.class)
                        .invoke(config, dataId, group, content, text(command, "md5"));
            case "get":
                return config.getConfig(dataId, group, TIMEOUT_MS);
            case "remove":
                return config.removeConfig(dataId, group);
            case "listen":
                listen(dataId, group);
                return null;
            case "unlisten":
                config.removeListener(dataId, group, listeners.remove(group + " " + dataId));
                return null;
            default:
                throw new IllegalArgumentException(command.get("do").asText());
        }
    }

    private void open(JsonNode command) throws Exception {
        Properties settings = new Properties();
        settings.setProperty("serverAddr", text(command, "server"));
        settings.setProperty("namespace", text(command, "namespace"));
        settings.setProperty("namingLoadCacheAtStart", "false");
        settings.setProperty("clientWorkerThreadCount", "4");
        naming = NacosFactory.createNamingService(settings);
        config = NacosFactory.createConfigService(settings);
    }

    private void close() {
        try {
            naming.shutDown();
            config.shutDown();
        } catch (Exception error) {
            error.printStackTrace();
        }
    }

    /** Since 2.1; older generations have no such method. */
    private boolean several(String method, String service, String group, JsonNode command) throws Exception {
        List<Instance> instances = new ArrayList<>();
        command.get("instances").forEach(one -> instances.add(instance(one)));
        NamingService.class
                .getMethod(method, String.class, String.class, List.class)
                .invoke(naming, service, group, instances);
        return true;
    }

    private List<Object> select(String service, String group, List<String> clusters, boolean healthy) throws Exception {
        return seen(
                healthy
                        ? naming.selectInstances(service, group, clusters, true, false)
                        : naming.getAllInstances(service, group, clusters, false));
    }

    private void subscribe(String service, String group, List<String> clusters) throws Exception {
        EventListener listener =
                event -> say(
                        "client", name, "event", "service", "service", service, "group", group,
                        "instances", seen(((NamingEvent) event).getInstances()));
        subscriptions.put(group + "@@" + service, listener);
        naming.subscribe(service, group, clusters, listener);
    }

    private void listen(String dataId, String group) throws Exception {
        Listener listener =
                new Listener() {
                    @Override
                    public Executor getExecutor() {
                        return null;
                    }

                    @Override
                    public void receiveConfigInfo(String content) {
                        say("client", name, "event", "config", "data_id", dataId, "group", group, "content", content);
                    }
                };
        listeners.put(group + " " + dataId, listener);
        config.addListener(dataId, group, listener);
    }

    private static Instance instance(JsonNode given) {
        Instance instance = new Instance();
        instance.setIp(given.get("ip").asText());
        instance.setPort(given.get("port").asInt());
        instance.setWeight(given.get("weight").asDouble());
        instance.setEnabled(given.get("enabled").asBoolean());
        instance.setHealthy(given.get("healthy").asBoolean());
        instance.setEphemeral(given.get("ephemeral").asBoolean());
        instance.setClusterName(given.get("cluster").asText());
        Map<String, String> metadata = new HashMap<>();
        given.get("metadata").fields().forEachRemaining(pair -> metadata.put(pair.getKey(), pair.getValue().asText()));
        instance.setMetadata(metadata);
        return instance;
    }

    private static Map<String, Object> seen(Instance instance) {
        return map(
                "ip", instance.getIp(), "port", instance.getPort(), "weight", instance.getWeight(),
                "enabled", instance.isEnabled(), "healthy", instance.isHealthy(),
                "ephemeral", instance.isEphemeral(), "cluster", instance.getClusterName(),
                "metadata", instance.getMetadata());
    }

    private static List<Object> seen(List<Instance> instances) {
        List<Object> all = new ArrayList<>();
        instances.forEach(instance -> all.add(seen(instance)));
        return all;
    }

    private static List<String> clusters(JsonNode command) {
        List<String> clusters = new ArrayList<>();
        command.get("clusters").forEach(cluster -> clusters.add(cluster.asText()));
        return clusters;
    }

    private static String text(JsonNode command, String member) {
        return command.path(member).asText();
    }

    private static Map<String, Object> map(Object... pairs) {
        Map<String, Object> map = new HashMap<>();
        for (int index = 0; index < pairs.length; index += 2) {
            map.put((String) pairs[index], pairs[index + 1]);
        }
        return map;
    }

    private static synchronized void say(Object... pairs) {
        try {
            out.println(JSON.writeValueAsString(map(pairs)));
        } catch (Exception error) {
            error.printStackTrace();
        }
    }

    private static String version() throws Exception {
        Properties properties = new Properties();
        try (InputStream file =
                Driver.class.getResourceAsStream("/META-INF/maven/com.alibaba.nacos/nacos-client/pom.properties")) {
            properties.load(file);
        }
        return properties.getProperty("version");
    }
}
