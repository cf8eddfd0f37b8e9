package hephaestus.compare;

import java.util.concurrent.ThreadLocalRandom;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.RecordMetadata;

/** The headers that every record of the pipeline carries: its trace, what it was made from, and by what. */
final class Lineage {
    private static final byte[] DIGITS = Scan.ascii("0123456789abcdef");

    private final byte[] stage;
    private final Out origin = new Out();
    private final byte[] traceparent = Scan.ascii("00-00000000000000000000000000000000-0000000000000000-00");
    /** Ids of traces that nobody samples follow each other, as the program's do, so that they compress. */
    private long trace = ThreadLocalRandom.current().nextLong();
    private long span = ThreadLocalRandom.current().nextLong();
    private String topic = "";
    private byte[] topicBytes = new byte[0];

    Lineage(String stage) {
        this.stage = Scan.ascii(stage);
        hex(19, ThreadLocalRandom.current().nextLong());
    }

    Headers of(ProcessorContext<byte[], byte[]> context) {
        RecordHeaders headers = new RecordHeaders();
        hex(3, ++trace);
        hex(36, ++span);
        headers.add("traceparent", traceparent.clone());
        context.recordMetadata().ifPresent(metadata -> headers.add("hephaestus-origin", origin(metadata)));
        headers.add("hephaestus-stage", stage);
        return headers;
    }

    private void hex(int start, long value) {
        for (int i = 15; i >= 0; i--) {
            traceparent[start + i] = DIGITS[(int) (value & 15)];
            value >>>= 4;
        }
    }

    private byte[] origin(RecordMetadata metadata) {
        if (!topic.equals(metadata.topic())) {
            topic = metadata.topic();
            topicBytes = Scan.ascii(topic);
        }
        origin.clear();
        origin.put(topicBytes);
        origin.put('/');
        origin.decimal(metadata.partition());
        origin.put('/');
        origin.decimal(metadata.offset());
        return origin.copy();
    }
}
