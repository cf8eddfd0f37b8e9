package hephaestus.compare;

import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.processor.api.RecordMetadata;

/** Classifies each record and names its origin in the headers. */
final class ClassifyProcessor implements Processor<byte[], byte[], byte[], byte[]> {
    private static final byte[] STAGE = Scan.ascii("classifier/1");

    private final Classifier classifier = new Classifier();
    private final Out origin = new Out();
    private ProcessorContext<byte[], byte[]> context;
    private String topic = "";
    private byte[] topicBytes = new byte[0];

    @Override
    public void init(ProcessorContext<byte[], byte[]> context) {
        this.context = context;
    }

    @Override
    public void process(Record<byte[], byte[]> record) {
        byte[] value = classifier.classify(record.key(), record.value(), record.timestamp());
        RecordHeaders headers = new RecordHeaders();
        context.recordMetadata().ifPresent(metadata -> headers.add("hephaestus-origin", origin(metadata)));
        headers.add("hephaestus-stage", STAGE);
        context.forward(new Record<>(classifier.fingerprint(), value, record.timestamp(), headers));
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
