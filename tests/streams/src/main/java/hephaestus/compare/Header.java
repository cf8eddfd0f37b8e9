package hephaestus.compare;

import static hephaestus.compare.Scan.at;
import static hephaestus.compare.Scan.digit;

/** Reads a line's header: time stamps, severity, process, thread, component, in any order and punctuation. */
final class Header {
    private static final int MAX_LEAD = 6, MAX_ITEMS = 14, MAX_FILLER = 4, MAX_GROUP = 200, MAX_COMPONENT = 128;
    private static final byte[] CLIENT = Scan.ascii("client "), PID = Scan.ascii("pid "), DASHES = Scan.ascii(" ---");
    private static final boolean[] LABEL = new boolean[256], COMPONENT = new boolean[256];

    static {
        for (int c = 0; c < 256; c++) {
            LABEL[c] = Scan.alnum(c) || (c > 0 && ".-_:/#@+".indexOf(c) >= 0);
            COMPONENT[c] = Scan.alnum(c) || (c > 0 && "_.$-/:()[]@#<>*".indexOf(c) >= 0);
        }
    }

    final Stamp stamp = new Stamp();
    boolean timed;
    long micros;
    int severity;
    int messageStart, messageEnd;
    int componentStart, componentEnd, threadStart, threadEnd, processStart, processEnd;
    /** Syslog: the host, and the tag that names the service. */
    int hostStart, hostEnd, serviceStart, serviceEnd;

    private byte[] text;
    private int limit;
    private long reference;
    private int pos, committed, numbers, fillers;
    private boolean syslog, afterComponent, afterSeparator, afterDash, letter;

    void parse(byte[] text, int start, int end, long reference) {
        this.text = text;
        this.limit = end;
        this.reference = reference;
        timed = syslog = afterComponent = afterSeparator = afterDash = letter = false;
        severity = Severity.UNKNOWN;
        componentStart = componentEnd = threadStart = threadEnd = processStart = processEnd = -1;
        hostStart = hostEnd = serviceStart = serviceEnd = -1;
        numbers = fillers = 0;
        pos = committed = start;
        messageEnd = end;
        int first = peek(pos);
        boolean opens = Scan.alnum(first) || (first > 0 && "[-(<*#\"".indexOf(first) >= 0);
        if (!opens || !lead()) {
            timed = false;
            messageStart = start;
            severity = Severity.UNKNOWN;
            return;
        }
        if (syslog && afterStamp()) {
            severity = Severity.hint(text, messageStart, messageEnd);
            return;
        }
        items();
        pos = committed;
        separators();
        messageStart = Scan.skipSpaces(text, limit, pos);
        if (severity == Severity.UNKNOWN) severity = Severity.hint(text, messageStart, messageEnd);
        if (componentEnd > committed) componentEnd = componentStart;
        if (threadEnd > committed) threadEnd = threadStart;
        if (processEnd > committed) processEnd = processStart;
    }

    private int peek(int pos) {
        return at(text, limit, pos);
    }

    private boolean lead() {
        for (int index = 0; index < MAX_LEAD; index++) {
            pos = Scan.skipSpaces(text, limit, pos);
            if (stampItem(true)) return true;
            if (index == 0 && leadingSeverity()) return true;
            int end = Scan.tokenEnd(text, limit, pos);
            boolean dash = end - pos == 1 && text[pos] == '-';
            boolean marked = false, label = end > pos;
            for (int i = pos; i < end; i++) {
                int c = text[i] & 0xff;
                marked |= digit(c) || c == '.';
                label &= LABEL[c];
            }
            int last = peek(end - 1);
            if (!dash && !(label && marked && (Scan.alnum(last) || last == '#'))) return false;
            pos = end;
        }
        return false;
    }

    private boolean stampItem(boolean leading) {
        int open = peek(pos);
        boolean opened = open == '[' || open == '(' || open == '"';
        if (!stamp.parse(text, limit, opened ? pos + 1 : pos, reference, leading)) return false;
        int next = peek(stamp.end);
        if (Scan.alnum(next) || next == '%' || next == '/') return false;
        if (timed && !stamp.dated) return false;
        if (stamp.clocked || !timed) micros = stamp.micros;
        timed = true;
        syslog = stamp.syslog && !opened;
        pos = stamp.end;
        int close = peek(pos);
        if (opened && (close == ']' || close == ')' || close == '"')) pos++;
        commit();
        return true;
    }

    private void commit() {
        committed = pos;
        afterComponent = false;
    }

    private boolean leadingSeverity() {
        boolean opened = peek(pos) == '[';
        int wordAt = opened ? pos + 1 : pos;
        int end = Scan.alphaEnd(text, limit, wordAt);
        int found = Severity.of(text, wordAt, end);
        if (found == Severity.UNKNOWN) return false;
        int next = peek(end);
        boolean closed = opened ? next == ']' : isUpper(wordAt, end) && (next == ':' || next == ' ' || next == '|' || next == '\t');
        if (!closed) return false;
        severity = found;
        pos = next == ' ' || next == '\t' ? end : end + 1;
        commit();
        return true;
    }

    private boolean isUpper(int start, int end) {
        for (int i = start; i < end; i++) {
            if (!Scan.upper(text[i] & 0xff)) return false;
        }
        return true;
    }

    private void items() {
        for (int i = 0; i < MAX_ITEMS; i++) {
            separators();
            if (pos >= limit || !item()) return;
        }
    }

    private void separators() {
        afterSeparator = afterDash = false;
        while (true) {
            pos = Scan.skipSpaces(text, limit, pos);
            int mark = peek(pos);
            int end = pos;
            while (peek(end) == '-') end++;
            int dashes = end - pos;
            int behind = peek(end);
            int next = peek(pos + 1);
            if (dashes >= 1 && dashes <= 3 && (behind == ' ' || behind == 0)) {
                pos = end;
                afterDash = true;
            } else if (mark == '|' || mark == ',' || mark == ']' || (mark == ':' && (next == ' ' || next == '|' || next == 0))) {
                pos++;
            } else {
                return;
            }
            afterSeparator = true;
        }
    }

    private boolean item() {
        if (componentStart < 0 && severity == Severity.UNKNOWN && stampItem(false)) return true;
        if (!timed && stampItem(true)) return true;
        if (peek(pos) == '[') return group();
        int end = pos;
        while (end < limit && text[end] != ' ' && text[end] != '\t' && text[end] != '|') end++;
        return severityItem(end) || numberItem(end) || componentItem(end) || fillerItem(end);
    }

    private boolean severityItem(int end) {
        if (severity != Severity.UNKNOWN) return false;
        int wordEnd = Scan.alphaEnd(text, limit, pos);
        int next = peek(wordEnd);
        boolean closed = next == ':' || next == '|' || next == ']';
        if (wordEnd - pos == 1) {
            boolean slashed = next == '/';
            int found = slashed || (numbers > 0 && wordEnd == end) ? Severity.ofLetter(text[pos]) : Severity.UNKNOWN;
            if (found == Severity.UNKNOWN) return false;
            severity = found;
            letter = true;
            pos = slashed ? wordEnd + 1 : wordEnd;
            commit();
            return true;
        }
        if (wordEnd != end && !closed && next != ',') return false;
        int found = Severity.of(text, pos, wordEnd);
        if (found == Severity.UNKNOWN) return false;
        boolean aligned = next == '\t' || (next == ' ' && peek(wordEnd + 1) == ' ');
        if (!isUpper(pos, wordEnd) && !closed && !afterSeparator && !aligned) return false;
        severity = found;
        pos = closed || next == ',' ? wordEnd + 1 : wordEnd;
        commit();
        return true;
    }

    private boolean numberItem(int end) {
        int digitsEnd = pos;
        while (digitsEnd < limit && (digit(text[digitsEnd] & 0xff) || text[digitsEnd] == '#')) digitsEnd++;
        boolean marked = peek(digitsEnd) == ':' && digitsEnd + 1 == end;
        if (digitsEnd == pos || !(digitsEnd == end || marked) || numbers >= 3) return false;
        numbers++;
        if (processStart < 0) {
            processStart = pos;
            processEnd = digitsEnd;
        } else if (threadStart < 0) {
            threadStart = pos;
            threadEnd = digitsEnd;
        }
        pos = end;
        afterComponent = false;
        if (marked || peek(end) == '|' || Scan.startsWith(text, limit, end, DASHES)) committed = end;
        return true;
    }

    private boolean group() {
        int close = -1;
        int depth = 0;
        for (int i = pos; i < Math.min(limit, pos + MAX_GROUP) && close < 0; i++) {
            if (text[i] == '[') depth++;
            else if (text[i] == ']' && --depth == 0) close = i;
        }
        if (close < 0) return false;
        int start = Scan.skipSpaces(text, close, pos + 1);
        int end = close;
        while (end > start && text[end - 1] == ' ') end--;
        if (severity == Severity.UNKNOWN) {
            int wordAt = end;
            while (wordAt > start && text[wordAt - 1] != ':') wordAt--;
            int found = Severity.of(text, wordAt, end);
            if (found != Severity.UNKNOWN) {
                severity = found;
                pos = close + 1;
                commit();
                return true;
            }
        }
        if (Scan.startsWith(text, end, start, CLIENT) || fillers >= 4) return false;
        int behind = Scan.skipSpaces(text, limit, close + 1);
        boolean dashed = peek(behind) == '-' && peek(behind + 1) == ' ';
        boolean colon = peek(close + 1) == ':' && peek(close + 2) == ' ';
        boolean oneWord = end > start && Scan.indexOf(text, end, start, ' ') < 0;
        boolean followsComponent = afterComponent;
        if (threadStart < 0) {
            threadStart = pos + 1;
            threadEnd = close;
        }
        pos = colon ? close + 2 : close + 1;
        fillers++;
        if (dashed || colon || oneWord || followsComponent || Scan.startsWith(text, end, start, PID)) commit();
        return true;
    }

    private boolean componentItem(int end) {
        if (componentStart >= 0 || end - pos > MAX_COMPONENT) return false;
        int first = peek(pos);
        boolean hasAlpha = false, hasColon = false, hasOpen = false;
        for (int i = pos; i < end; i++) {
            int c = text[i] & 0xff;
            hasAlpha |= Scan.alpha(c);
            hasColon |= c == ':';
            hasOpen |= c == '[';
        }
        boolean program = digit(first) && hasAlpha && !hasColon;
        if (!(Scan.alpha(first) || first == '_' || program)) return false;
        boolean colon = peek(end - 1) == ':';
        boolean bracket = peek(end - 1) == ']';
        int nameEnd = colon ? end - 1 : end;
        while (!colon && nameEnd > pos && text[nameEnd - 1] == ']') nameEnd--;
        for (int i = pos; i < nameEnd; i++) {
            if (!COMPONENT[text[i] & 0xff]) return false;
        }
        int next = peek(end);
        int nextAt = Scan.skipSpaces(text, limit, end);
        boolean aligned = next == ' ' && nextAt > end + 1;
        int note = colon ? nextAt : noteEnd(nextAt);
        int behind = Scan.skipSpaces(text, limit, note);
        int mark = peek(behind);
        boolean dashed = mark == '-' && peek(behind + 1) == ' ';
        boolean coloned = mark == ':' && peek(behind + 1) == ' ';
        boolean technical = technical(pos, nameEnd);
        boolean severe = severity != Severity.UNKNOWN;
        boolean certain;
        if (colon) certain = (technical && (severe || hasPlace(pos, nameEnd))) || (letter && nameEnd > pos);
        else if (next == '|' || (bracket && !hasOpen)) certain = true;
        else if ((dashed || coloned) && severe && afterDash) certain = technical;
        else if (dashed || coloned) certain = technical || severe || afterSeparator || timed;
        else certain = aligned && severe && pos >= committed + 2;
        boolean followedByGroup = mark == '[' && technical && severe && !colon;
        if (!certain && !followedByGroup) return false;
        componentStart = pos;
        componentEnd = nameEnd;
        pos = certain && dashed ? note : end;
        if (certain) commit();
        else afterComponent = true;
        return true;
    }

    private int noteEnd(int pos) {
        int end = Scan.tokenEnd(text, limit, pos);
        int first = peek(pos);
        if (end - pos > 6 || (first != '*' && first != '#' && first != '(')) return pos;
        for (int i = pos; i < end; i++) {
            if (Scan.alpha(text[i] & 0xff)) return pos;
        }
        return end;
    }

    private boolean technical(int start, int end) {
        if (end <= start) return false;
        boolean marked = false, humps = false, alpha = Scan.alpha(text[start] & 0xff), colon = text[start] == ':';
        for (int i = start + 1; i < end; i++) {
            int c = text[i] & 0xff;
            marked |= c == '.' || c == '$' || c == '_' || c == '/' || c == '[' || c == ':' || c == '@' || c == '-';
            humps |= Scan.upper(c) && Scan.lower(text[i - 1] & 0xff);
            alpha |= Scan.alpha(c);
            colon |= c == ':';
        }
        int last = text[end - 1] & 0xff;
        boolean endsWell = Scan.alnum(last) || last == ')' || last == ']' || last == '>';
        boolean value = digit(text[start] & 0xff) && (colon || !alpha);
        return endsWell && !value && (marked || humps);
    }

    private boolean hasPlace(int start, int end) {
        int last = peek(end - 1);
        boolean numbered = digit(last) && Scan.indexOf(text, end, start, ':') >= 0 && Scan.indexOf(text, end, start, '.') >= 0;
        return last == ']' || numbered;
    }

    private boolean fillerItem(int end) {
        if (severity != Severity.UNKNOWN || !timed || fillers >= MAX_FILLER) return false;
        int behind = Scan.skipSpaces(text, limit, end);
        boolean separated = peek(end) == '|' || (peek(behind) == '-' && peek(behind + 1) == ' ');
        boolean lower = false, marks = true, technical = false;
        for (int i = pos; i < end; i++) {
            int c = text[i] & 0xff;
            lower |= Scan.lower(c);
            technical |= digit(c) || c == '.' || c == '_' || c == ':' || c == '/';
            marks &= LABEL[c];
        }
        boolean closes = end > pos && ".,;!?:".indexOf(text[end - 1]) >= 0;
        if ((lower && !technical && !separated) || closes || !marks) return false;
        fillers++;
        pos = end;
        afterComponent = false;
        return true;
    }

    /** What follows an RFC 3164 time stamp: {@code host tag[pid]: message}. */
    private boolean afterStamp() {
        int hostAt = Scan.skipSpaces(text, limit, pos);
        int end = Scan.tokenEnd(text, limit, hostAt);
        if (end == hostAt || Severity.of(text, hostAt, end) != Severity.UNKNOWN) return false;
        for (int i = hostAt; i < end; i++) {
            int c = text[i] & 0xff;
            if (!Scan.alnum(c) && (c == 0 || ".-_:/#@".indexOf(c) < 0)) return false;
        }
        int tagAt = hostAt;
        if (text[end - 1] != ':') {
            hostStart = hostAt;
            hostEnd = end;
            tagAt = Scan.skipSpaces(text, limit, end);
        }
        int colon = tagAt;
        int highest = Math.min(limit, tagAt + 96);
        int space = -1;
        while (colon < highest && !(text[colon] == ':' && (peek(colon + 1) == ' ' || peek(colon + 1) == 0))) {
            if (text[colon] == ' ' && space < 0) space = colon;
            colon++;
        }
        messageStart = tagAt;
        if (colon >= highest || colon == tagAt || (space >= 0 && text[colon - 1] != ']')) return true;
        int open = Scan.indexOf(text, colon, tagAt, '[');
        serviceStart = tagAt;
        serviceEnd = open >= 0 ? open : colon;
        if (open >= 0 && text[colon - 1] == ']') {
            processStart = open + 1;
            processEnd = colon - 1;
        }
        messageStart = Scan.skipSpaces(text, limit, colon + 1);
        return true;
    }
}
