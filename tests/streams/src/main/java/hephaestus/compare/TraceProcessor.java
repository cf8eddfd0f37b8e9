package hephaestus.compare;

import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;

/** Writes each record as it came, and says in its headers where it came from. */
final class TraceProcessor implements Processor<byte[], byte[], byte[], byte[]> {
    private final Lineage lineage = new Lineage("copy/1");
    private ProcessorContext<byte[], byte[]> context;

    @Override
    public void init(ProcessorContext<byte[], byte[]> context) {
        this.context = context;
    }

    @Override
    public void process(Record<byte[], byte[]> record) {
        context.forward(record.withHeaders(lineage.of(context)));
    }
}
