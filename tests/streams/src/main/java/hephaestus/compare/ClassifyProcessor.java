package hephaestus.compare;

import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;

/** Classifies each record. */
final class ClassifyProcessor implements Processor<byte[], byte[], byte[], byte[]> {
    private final Classifier classifier = new Classifier();
    private final Lineage lineage = new Lineage("classifier/1");
    private ProcessorContext<byte[], byte[]> context;

    @Override
    public void init(ProcessorContext<byte[], byte[]> context) {
        this.context = context;
    }

    @Override
    public void process(Record<byte[], byte[]> record) {
        byte[] value = classifier.classify(record.key(), record.value(), record.timestamp());
        context.forward(new Record<>(classifier.fingerprint(), value, record.timestamp(), lineage.of(context)));
    }
}
