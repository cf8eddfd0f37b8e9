package hephaestus.compare;

import static hephaestus.compare.Scan.at;
import static hephaestus.compare.Scan.digit;
import static hephaestus.compare.Scan.ident;

import java.util.Set;

/** The template of a message: the message with its variables replaced by typed masks. */
final class Template {
    private static final int MAX_SOURCE = 4096;
    private static final byte[] TIME = Scan.ascii("<time>");
    private static final byte[] USER = Scan.ascii("<user>");
    private static final byte[] SIZE = Scan.ascii("<size>");
    private static final byte[] DURATION = Scan.ascii("<duration>");
    private static final byte[] USER_WORD = Scan.ascii("user");
    private static final Set<String> PROSE = Set.of("unknown", "not", "is", "has", "was", "name", "id", "agent", "data",
            "input", "error", "request", "and", "or", "can", "cannot", "does", "in", "on", "with", "from", "to", "for",
            "mode", "space", "logged", "session", "could");

    private final Stamp stamp = new Stamp();
    private final Words words = new Words();
    private byte[] text;
    private int limit;
    private Out out;

    /** Writes the template of the message at {@code start..end} into an empty {@code out}. */
    void write(byte[] text, int start, int end, Out out) {
        this.text = text;
        this.out = out;
        int pos = Scan.skipSpaces(text, end, start);
        limit = Math.min(end, pos + MAX_SOURCE);
        int newline = Scan.indexOf(text, limit, pos, '\n');
        if (newline >= 0) limit = newline;
        words.begin(text, limit, out);
        while (true) {
            pos = Scan.skipSpaces(text, limit, pos);
            if (pos >= limit) break;
            if (out.length > 0 && out.last() != ' ') out.put(' ');
            int wordAt = out.length;
            pos = token(pos);
            collapse(wordAt);
        }
        out.trimEnd();
    }

    /** Drops a word that is the same mask as the word before: a list of values is one value. */
    private void collapse(int wordAt) {
        byte[] bytes = out.bytes;
        int length = out.length - wordAt;
        if (length == 0 || bytes[wordAt] != '<' || out.last() != '>') return;
        int before = wordAt;
        while (before > 0 && bytes[before - 1] == ' ') before--;
        if (before < length) return;
        for (int i = 0; i < length; i++) {
            if (bytes[before - length + i] != bytes[wordAt + i]) return;
        }
        out.length = before;
    }

    private int token(int start) {
        int first = at(text, limit, start);
        if (opensStamp(first, start) && stamp.parse(text, limit, start, 0, false)
                && stamp.dated && !Scan.alnum(at(text, limit, stamp.end))) {
            out.put(TIME);
            return rest(stamp.end);
        }
        int end = Scan.tokenEnd(text, limit, start);
        if (isUser(start, end)) {
            out.put(USER);
            return end;
        }
        if (digit(first) || first == '<' || first == '(' || first == '-' || first == '+') {
            int behind = measured(start, end);
            if (behind >= 0) return behind;
        }
        words.mask(start, end);
        return end;
    }

    private boolean opensStamp(int first, int start) {
        if (digit(first)) return true;
        int fourth = at(text, limit, start + 3);
        return Scan.upper(first) && (fourth == ' ' || fourth == ',');
    }

    private int rest(int start) {
        int end = Scan.tokenEnd(text, limit, start);
        words.mask(start, end);
        return end;
    }

    private boolean isUser(int start, int end) {
        int before = out.length;
        while (before > 0 && out.bytes[before - 1] == ' ') before--;
        if (before < 4 || !Scan.startsWithIgnoreCase(out.bytes, before, before - 4, USER_WORD)) return false;
        if (before > 4 && out.bytes[before - 5] != ' ') return false;
        for (int i = start; i < end; i++) {
            int c = text[i] & 0xff;
            if (!ident(c) && c != '-' && c != '.' && c != '@' && c != '+') return false;
        }
        return end > start && !PROSE.contains(new String(text, start, end - start, java.nio.charset.StandardCharsets.ISO_8859_1));
    }

    /** A number whose unit is the next word, with a second form in brackets perhaps. */
    private int measured(int start, int end) {
        int first = at(text, limit, start);
        boolean bracketed = first == '(';
        int below = first == '<' || bracketed ? 1 : 0;
        if (words.numberEnd(start + below) != end || end == start + below) return -1;
        int unitAt = Scan.skipSpaces(text, limit, end);
        int unitEnd = Scan.alphaEnd(text, limit, unitAt);
        int unit = unit(end, unitAt, unitEnd);
        if (unit == 0) return -1;
        if (bracketed) out.put('(');
        out.put(unit == Words.SIZE_UNIT ? SIZE : DURATION);
        int done = unitEnd;
        int secondAt = Scan.skipSpaces(text, limit, unitEnd);
        if (at(text, limit, secondAt) == '(') {
            int secondEnd = Scan.tokenEnd(text, limit, secondAt);
            int wordAt = Scan.skipSpaces(text, limit, secondEnd);
            int wordEnd = Scan.alphaEnd(text, limit, wordAt);
            boolean number = words.numberEnd(secondAt + 1) == secondEnd;
            if (number && unit(secondEnd, wordAt, wordEnd) == unit && at(text, limit, wordEnd) == ')') done = wordEnd + 1;
        }
        return rest(done);
    }

    private int unit(int pos, int wordAt, int wordEnd) {
        int length = wordEnd - wordAt;
        if (length == 0 || wordAt == pos || (length < 2 && text[wordAt] != 'B')) return 0;
        int next = at(text, limit, wordEnd);
        return ident(next) || next == '(' ? 0 : Words.unit(text, wordAt, wordEnd);
    }
}
