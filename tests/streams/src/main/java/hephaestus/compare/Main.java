package hephaestus.compare;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.Topology;

/**
 * The Kafka Streams application that the benchmark compares with: {@code copy} writes each record as it came,
 * {@code trace} adds the headers that every record of the pipeline carries, {@code classify} does what the classifier does to a line. Prints {@code ready} once it runs, and runs until killed.
 */
public final class Main {
    private Main() {}

    public static void main(String[] arguments) throws IOException {
        String mode = arguments.length > 0 ? arguments[0] : "";
        if (mode.equals("lines")) {
            lines();
            return;
        }
        if (!mode.equals("copy") && !mode.equals("trace") && !mode.equals("classify")) {
            System.err.println("usage: copy|trace|classify bootstrap.servers=HOST:PORT input=TOPIC output=TOPIC application.id=ID "
                + "state.dir=DIR [any Kafka Streams setting=VALUE]...\n       lines < FILE: what is read from each line");
            System.exit(2);
        }
        Map<String, String> given = new TreeMap<>();
        for (int i = 1; i < arguments.length; i++) {
            int equals = arguments[i].indexOf('=');
            given.put(arguments[i].substring(0, equals), arguments[i].substring(equals + 1));
        }
        Topology topology = topology(mode, given.remove("input"), given.remove("output"));
        Properties settings = settings();
        settings.putAll(given);
        KafkaStreams streams = new KafkaStreams(topology, settings);
        streams.setUncaughtExceptionHandler(error -> {
            error.printStackTrace();
            Runtime.getRuntime().halt(1);
            return null;
        });
        streams.setStateListener((now, before) -> {
            if (now == KafkaStreams.State.RUNNING) System.out.println("ready");
        });
        Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
        streams.start();
    }

    private static Topology topology(String mode, String input, String output) {
        Topology topology = new Topology();
        topology.addSource("input", new ByteArrayDeserializer(), new ByteArrayDeserializer(), input);
        String last = "input";
        if (mode.equals("classify")) {
            topology.addProcessor("classify", ClassifyProcessor::new, "input");
            last = "classify";
        } else if (mode.equals("trace")) {
            topology.addProcessor("trace", TraceProcessor::new, "input");
            last = "trace";
        }
        topology.addSink("output", output, new ByteArraySerializer(), new ByteArraySerializer(), last);
        return topology;
    }

    /** What made it fastest here; `docs/benchmarks.md` says what was tried. */
    private static Properties settings() {
        Properties settings = new Properties();
        settings.put("processing.guarantee", "exactly_once_v2");
        settings.put("num.stream.threads", "2");
        settings.put("commit.interval.ms", "100");
        settings.put("replication.factor", "1");
        settings.put("main.consumer.auto.offset.reset", "earliest");
        // Fewer and larger requests, both ways.
        settings.put("main.consumer.max.poll.records", "5000");
        settings.put("main.consumer.max.partition.fetch.bytes", "4194304");
        settings.put("main.consumer.fetch.min.bytes", "100000");
        settings.put("main.consumer.fetch.max.wait.ms", "50");
        settings.put("buffered.records.per.partition", "20000");
        settings.put("producer.batch.size", "262144");
        settings.put("producer.buffer.memory", "67108864");
        settings.put("producer.compression.type", "lz4");
        // The first batches of a transaction are refused while the broker ends the one before: the default waits 100 ms.
        settings.put("producer.retry.backoff.ms", "5");
        settings.put("producer.retry.backoff.max.ms", "50");
        return settings;
    }

    /** Reads lines and prints what is found in each, so that it can be compared with the program's own reading. */
    private static void lines() throws IOException {
        Classifier classifier = new Classifier();
        BufferedReader reader = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        PrintStream out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
        byte[] source = Scan.ascii("shop/web-1/app");
        for (String line = reader.readLine(); line != null; line = reader.readLine()) {
            classifier.classify(source, line.getBytes(StandardCharsets.UTF_8), System.currentTimeMillis());
            out.println(classifier.summary());
        }
        out.flush();
    }
}
