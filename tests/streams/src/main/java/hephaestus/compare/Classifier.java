package hephaestus.compare;

import java.nio.charset.StandardCharsets;

/** From a raw line to the classified event: key and Avro value. One for each thread. */
final class Classifier {
    /** The schema's id in the wire format; what it is does not matter to the work. */
    private static final int SCHEMA = 1;
    private static final byte[] LOGGER = Scan.ascii("logger"), THREAD = Scan.ascii("thread"), PROCESS = Scan.ascii("process"),
            HOST = Scan.ascii("host"), NONE = new byte[0], UNKNOWN = Scan.ascii("unknown/unknown/unknown");

    private final Secrets secrets = new Secrets();
    private final Header header = new Header();
    private final Template templates = new Template();
    private final Known.Memory memory = new Known.Memory();
    private final Out masked = new Out();
    private final Out template = new Out();
    private final Out value = new Out();
    private Known known;
    private byte[] text;

    /** Classifies a line; {@code source} is its key. */
    byte[] classify(byte[] source, byte[] line, long timestampMs) {
        text = line == null ? NONE : line;
        int high = 0;
        boolean escaped = false;
        for (byte c : text) {
            high |= c;
            escaped |= c == 0x1b;
        }
        // Valid ASCII, which is nearly all of it, needs no repair.
        if (high < 0 || escaped) text = repaired(text);
        int end = text.length;
        while (end > 0 && (text[end - 1] == ' ' || text[end - 1] == '\n' || text[end - 1] == '\r' || text[end - 1] == '\t')) end--;
        int secretsMasked = 0;
        if (!secrets.clean(text, 0, end, masked)) {
            text = masked.copy();
            end = text.length;
            secretsMasked = secrets.masked;
        }
        long recordMicros = timestampMs * 1000;
        header.parse(text, 0, end, recordMicros);
        int severity = header.severity == Severity.UNKNOWN ? Severity.INFO : header.severity;
        template.clear();
        templates.write(text, header.messageStart, header.messageEnd, template);
        known = memory.of(template, severity >= Severity.ERROR);
        return encode(source == null ? UNKNOWN : source, severity, recordMicros, secretsMasked);
    }

    /** The fingerprint of the line that was classified last. */
    byte[] fingerprint() {
        return known.fingerprint;
    }

    /** What the header and the template of the line that was classified last are, for comparison by eye and by script. */
    String summary() {
        return header.micros * (header.timed ? 1 : 0) + "\t" + Math.max(header.severity, -1) + "\t"
            + new String(known.template, StandardCharsets.UTF_8);
    }

    private static byte[] repaired(byte[] text) {
        String repaired = new String(text, StandardCharsets.UTF_8);
        return repaired.replaceAll("\u001b\\[[0-9;]*[A-Za-z]", "").getBytes(StandardCharsets.UTF_8);
    }

    /** The fields of {@code schemas/avro/classified-log.avsc}, in order, in the Confluent wire format. */
    private byte[] encode(byte[] source, int severity, long recordMicros, int secretsMasked) {
        Out out = value;
        out.clear();
        out.put(0);
        out.put(SCHEMA >>> 24);
        out.put(SCHEMA >>> 16);
        out.put(SCHEMA >>> 8);
        out.put(SCHEMA);
        out.text(known.fingerprint);
        out.text(known.patternId);
        out.text(known.template);
        out.text(source);
        if (header.serviceEnd > header.serviceStart) {
            out.text(text, header.serviceStart, header.serviceEnd);
        } else {
            int slash = Scan.indexOf(source, source.length, 0, '/');
            out.text(source, 0, slash < 0 ? source.length : slash);
        }
        out.number(header.timed ? header.micros : recordMicros);
        out.put(header.timed ? 0 : 1);
        out.number(severity);
        out.text(known.category);
        out.text(known.reason);
        out.text(text, header.messageStart, header.messageEnd);
        out.number(0); // no exception
        out.number(0); // no culprits
        out.number(0); // no context
        attributes(out);
        out.number(1);
        out.number(secretsMasked);
        out.put(0);
        return out.copy();
    }

    private void attributes(Out out) {
        int count = present(header.componentStart, header.componentEnd) + present(header.threadStart, header.threadEnd)
            + present(header.processStart, header.processEnd) + present(header.hostStart, header.hostEnd);
        if (count > 0) {
            out.number(count);
            attribute(out, HOST, header.hostStart, header.hostEnd);
            attribute(out, LOGGER, header.componentStart, header.componentEnd);
            attribute(out, PROCESS, header.processStart, header.processEnd);
            attribute(out, THREAD, header.threadStart, header.threadEnd);
        }
        out.number(0);
    }

    private static int present(int start, int end) {
        return end > start ? 1 : 0;
    }

    private void attribute(Out out, byte[] name, int start, int end) {
        if (end <= start) return;
        out.text(name);
        out.text(text, start, end);
    }
}
