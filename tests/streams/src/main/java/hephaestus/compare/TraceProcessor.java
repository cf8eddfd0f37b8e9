package hephaestus.compare;

import org.apache.kafka.streams.processor.api.ContextualProcessor;
import org.apache.kafka.streams.processor.api.Record;

/** Writes each record as it came, and says in its headers where it came from. */
final class TraceProcessor extends ContextualProcessor<byte[], byte[], byte[], byte[]> {
    private final Lineage lineage = new Lineage("copy/1");

    @Override
    public void process(Record<byte[], byte[]> record) {
        context().forward(record.withHeaders(lineage.of(context())));
    }
}
