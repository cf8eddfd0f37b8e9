package hephaestus.compare;

import org.apache.kafka.streams.processor.api.ContextualProcessor;
import org.apache.kafka.streams.processor.api.Record;

/** Classifies each record. */
final class ClassifyProcessor extends ContextualProcessor<byte[], byte[], byte[], byte[]> {
    private final Classifier classifier = new Classifier();
    private final Lineage lineage = new Lineage("classifier/1");

    @Override
    public void process(Record<byte[], byte[]> record) {
        byte[] value = classifier.classify(record.key(), record.value(), record.timestamp());
        context().forward(new Record<>(classifier.fingerprint(), value, record.timestamp(), lineage.of(context())));
    }
}
