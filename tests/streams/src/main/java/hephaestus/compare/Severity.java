package hephaestus.compare;

import java.nio.charset.StandardCharsets;

/** Severities, by their place in the Avro enum. */
final class Severity {
    static final int UNKNOWN = -1, TRACE = 0, DEBUG = 1, INFO = 2, WARN = 3, ERROR = 4, FATAL = 5;

    private Severity() {}

    /** The severity a word names, in any case. */
    static int of(byte[] text, int start, int end) {
        int length = end - start;
        if (length < 3 || length > 13) return UNKNOWN;
        // The words that nearly every line has, without a string.
        int first = text[start] | 32;
        if ("tfvdinwescap".indexOf(first) < 0) return UNKNOWN;
        if (length == 4 && first == 'i' && (text[start + 1] | 32) == 'n' && (text[start + 2] | 32) == 'f' && (text[start + 3] | 32) == 'o') {
            return INFO;
        }
        String word = new String(text, start, length, StandardCharsets.ISO_8859_1).toLowerCase(java.util.Locale.ROOT);
        return switch (word) {
            case "trace", "finest", "finer", "verbose", "vrb", "trc" -> TRACE;
            case "debug", "fine", "dbg" -> DEBUG;
            case "info", "information", "informational", "notice", "inf", "config" -> INFO;
            case "warn", "warning", "wrn" -> WARN;
            case "error", "err", "severe", "failure" -> ERROR;
            case "fatal", "critical", "crit", "alert", "emerg", "emergency", "panic", "ftl" -> FATAL;
            default -> UNKNOWN;
        };
    }

    static int ofLetter(int letter) {
        return switch (letter) {
            case 'V' -> TRACE;
            case 'D' -> DEBUG;
            case 'I' -> INFO;
            case 'W' -> WARN;
            case 'E' -> ERROR;
            case 'F' -> FATAL;
            default -> UNKNOWN;
        };
    }

    /** The severity that a message itself opens with, as {@code error: …}. */
    static int hint(byte[] text, int start, int end) {
        int wordEnd = Scan.alphaEnd(text, end, start);
        return Scan.at(text, end, wordEnd) == ':' ? of(text, start, wordEnd) : UNKNOWN;
    }
}
