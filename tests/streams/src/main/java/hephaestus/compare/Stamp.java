package hephaestus.compare;

import static hephaestus.compare.Scan.at;
import static hephaestus.compare.Scan.digit;

/** Reads the time stamps that logs carry; what a stamp leaves out is taken from a reference time. */
final class Stamp {
    private static final long SECOND = 1_000_000L;
    private static final long DAY = 86_400L * SECOND;
    private static final String MONTHS = "janfebmaraprmayjunjulaugsepoctnovdec";
    private static final String DAYS = "montuewedthufrisatsun";

    /** Microseconds since 1970 UTC. */
    long micros;
    /** Behind its last byte. */
    int end;
    /** Has the form of RFC 3164, after which a host name follows. */
    boolean syslog;
    /** Names a day. */
    boolean dated;
    /** Names a time of day. */
    boolean clocked;

    private byte[] text;
    private int limit;
    private long reference;
    private long clockMicros;
    private long clockOffset;
    private int clockEnd;
    private int found;

    boolean parse(byte[] text, int limit, int pos, long reference, boolean epochs) {
        this.text = text;
        this.limit = limit;
        this.reference = reference;
        int first = at(text, limit, pos);
        if (digit(first)) return numeric(pos, epochs);
        return Scan.upper(first) && named(pos);
    }

    private int peek(int pos) {
        return at(text, limit, pos);
    }

    /** Up to {@code max} digits; {@code found} says how many there were. */
    private long digits(int pos, int max) {
        long value = 0;
        int count = 0;
        while (count < max) {
            int c = peek(pos + count);
            if (!digit(c)) break;
            value = value * 10 + (c - '0');
            count++;
        }
        found = count;
        return value;
    }

    private long exact(int pos, int count) {
        long value = digits(pos, count + 1);
        return found == count ? value : -1;
    }

    private long two(int pos) {
        long value = digits(pos, 2);
        return found == 2 ? value : -1;
    }

    private int name(String names, int pos) {
        int a = peek(pos) | 32, b = peek(pos + 1) | 32, c = peek(pos + 2) | 32;
        for (int i = 0; i < names.length(); i += 3) {
            if (names.charAt(i) == a && names.charAt(i + 1) == b && names.charAt(i + 2) == c) return i / 3;
        }
        return -1;
    }

    /** 1 to 12, or 0. */
    private int month(int pos) {
        int index = name(MONTHS, pos);
        return index >= 0 && !Scan.alnum(peek(pos + 3)) ? index + 1 : 0;
    }

    static long daysFromCivil(long year, long month, long day) {
        long y = month <= 2 ? year - 1 : year;
        long era = Math.floorDiv(y, 400L);
        long yearOfEra = Math.floorMod(y, 400L);
        long dayOfYear = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468;
    }

    private static long yearOf(long micros) {
        return java.time.LocalDate.ofEpochDay(Math.floorDiv(micros, DAY)).getYear();
    }

    private boolean clock(int pos, boolean secondsOptional) {
        long hour = digits(pos, 2);
        int hourDigits = found;
        int separator = peek(pos + hourDigits);
        if (hourDigits == 0 || hour > 23 || (separator != ':' && separator != '.')) return false;
        int minuteAt = pos + hourDigits + 1;
        long minute = digits(minuteAt, 2);
        if (found == 0 || minute > 59) return false;
        int behind = minuteAt + found;
        long value = (hour * 3600 + minute * 60) * SECOND;
        if (peek(behind) == separator && digit(peek(behind + 1))) {
            long second = digits(behind + 1, 2);
            if (second > 60) return false;
            behind += 1 + found;
            value += second * SECOND;
            int mark = peek(behind);
            if ((mark == '.' || mark == ',' || mark == ':') && digit(peek(behind + 1))) {
                long fraction = digits(behind + 1, 6);
                for (int i = found; i < 6; i++) fraction *= 10;
                value += fraction;
                behind = Scan.digitsEnd(text, limit, behind + 1);
            }
        } else if (!secondsOptional || separator == '.') {
            return false;
        }
        if (digit(peek(behind))) return false;
        clockMicros = value;
        clockOffset = 0;
        clockEnd = behind;
        zone(behind);
        return true;
    }

    private void zone(int pos) {
        boolean spaced = peek(pos) == ' ';
        int start = spaced ? pos + 1 : pos;
        int c = peek(start);
        if (c == 'Z' && !Scan.alnum(peek(start + 1))) {
            clockEnd = start + 1;
        } else if (c == '+' || c == '-') {
            long hours = two(start + 1);
            int colon = peek(start + 3) == ':' ? 1 : 0;
            long minutes = two(start + 3 + colon);
            int behind = start + 5 + colon;
            if (hours < 0 || hours > 14 || minutes < 0 || minutes > 59 || Scan.alnum(peek(behind))) return;
            long offset = (hours * 3600 + minutes * 60) * SECOND;
            clockOffset = c == '-' ? -offset : offset;
            clockEnd = behind;
        } else if (spaced && !Scan.alnum(peek(start + 3))) {
            boolean utc = c == 'U' && peek(start + 1) == 'T' && peek(start + 2) == 'C';
            boolean gmt = c == 'G' && peek(start + 1) == 'M' && peek(start + 2) == 'T';
            if (utc || gmt) clockEnd = start + 3;
        }
    }

    /** {@code HHMMSS}. */
    private boolean packed(int pos) {
        long value = exact(pos, 6);
        if (value < 0) return false;
        long hour = value / 10_000, minute = value / 100 % 100, second = value % 100;
        clockMicros = (hour * 3600 + minute * 60 + second) * SECOND;
        clockOffset = 0;
        clockEnd = pos + 6;
        return hour < 24 && minute < 60 && second < 61;
    }

    private boolean combine(long year, long month, long day) {
        if (month < 1 || month > 12 || day < 1 || day > 31) return false;
        return done(daysFromCivil(year, month, day) * DAY + clockMicros - clockOffset, clockEnd, true, true);
    }

    private boolean done(long micros, int end, boolean dated, boolean clocked) {
        this.micros = micros;
        this.end = end;
        this.dated = dated;
        this.clocked = clocked;
        this.syslog = false;
        return true;
    }

    private boolean withYear(long month, long day) {
        long year = yearOf(reference);
        if (!combine(year, month, day)) return false;
        return micros <= reference + DAY / 2 || combine(year - 1, month, day);
    }

    private boolean numeric(int pos, boolean epochs) {
        long value = digits(pos, 20);
        int count = found;
        int next = peek(pos + count);
        if (count == 4 && (next == '-' || next == '/' || next == '.')) return yearFirst(pos, value, next);
        if (count == 8 && (next == '-' || next == ' ' || next == 'T' || next == '_')) {
            if (!clock(pos + 9, false) && !packed(pos + 9)) return false;
            long year = value / 10_000;
            return year >= 1970 && year < 2100 && combine(year, value / 100 % 100, value % 100);
        }
        if (count == 6 && next == ' ') {
            return packed(pos + 7) && combine(2000 + value / 10_000, value / 100 % 100, value % 100);
        }
        if (count == 2 && next == '/') return slashed(pos, value);
        if (count <= 2 && next == '-') {
            int month = month(pos + count + 1);
            if (month > 0) return dayMonthYear(value, month, pos + count + 4, '-');
            long day = two(pos + count + 1);
            return day >= 0 && count == 2 && peek(pos + 5) == ' ' && clock(pos + 6, false) && withYear(value, day);
        }
        if (count == 2 && next == '.') {
            long day = two(pos + 3);
            if (day < 0) return false;
            if (peek(pos + 5) == ' ') return clock(pos + 6, false) && withYear(value, day);
            long year = peek(pos + 5) == '.' ? exact(pos + 6, 4) : -1;
            return year >= 0 && clock(Scan.skipSpaces(text, limit, pos + 10), false) && combine(year, day, value);
        }
        if (count <= 2 && next == ' ') {
            int month = month(pos + count + 1);
            return month > 0 && dayMonthYear(value, month, pos + count + 4, ' ');
        }
        if (count <= 2 && next == ':') {
            if (!clock(pos, false)) return false;
            long time = Math.floorDiv(reference, DAY) * DAY + clockMicros - clockOffset;
            return done(time > reference + DAY / 2 ? time - DAY : time, clockEnd, false, true);
        }
        boolean epoch = epochs && (count == 10 || count == 13 || count == 16 || count == 19);
        return epoch && epoch(pos, value, count);
    }

    private boolean yearFirst(int pos, long year, int separator) {
        long month = digits(pos + 5, 2);
        int monthDigits = found;
        int dayAt = pos + 5 + monthDigits + 1;
        if (monthDigits == 0 || peek(dayAt - 1) != separator || year < 1970 || year >= 2100) return false;
        long day = digits(dayAt, 2);
        if (found == 0) return false;
        int behind = dayAt + found;
        int mark = peek(behind);
        boolean joined = mark == 'T' || mark == 't' || mark == ' ' || mark == '-' || mark == '_' || mark == ':' || mark == ',';
        if (joined && clock(Scan.skipSpaces(text, limit, behind + 1), true)) return combine(year, month, day);
        if (Scan.alnum(mark) || month < 1 || month > 12 || day < 1 || day > 31) return false;
        return done(daysFromCivil(year, month, day) * DAY, behind, true, false);
    }

    private boolean slashed(int pos, long first) {
        int named = month(pos + 3);
        if (named > 0) return dayMonthYear(first, named, pos + 6, '/');
        long second = two(pos + 3);
        if (second < 0 || peek(pos + 5) != '/') return false;
        long third = digits(pos + 6, 5);
        int count = found;
        if (count != 2 && count != 4) return false;
        int clockAt = pos + 6 + count;
        if (peek(clockAt) == ',') clockAt++;
        if (peek(clockAt) != ' ' || !clock(clockAt + 1, false)) return false;
        if (count == 2) return combine(2000 + first, second, third);
        return second <= 12 && first > 12 ? combine(third, second, first) : combine(third, first, second);
    }

    private boolean dayMonthYear(long day, int month, int pos, int separator) {
        long year = peek(pos) == separator ? exact(pos + 1, 4) : -1;
        if (year < 0) return false;
        int mark = peek(pos + 5);
        return (mark == ' ' || mark == ':' || mark == 'T') && clock(pos + 6, false) && combine(year, month, day);
    }

    private boolean epoch(int pos, long value, int count) {
        long unit = count == 10 ? SECOND : count == 13 ? 1_000 : 1;
        long time = count == 19 ? value / 1_000 : value * unit;
        if (time < 1_000_000_000L * SECOND || time >= 4_102_444_800L * SECOND) return false;
        int behind = pos + count;
        if (count == 10 && peek(behind) == '.' && digit(peek(behind + 1))) {
            long fraction = digits(behind + 1, 6);
            for (int i = found; i < 6; i++) fraction *= 10;
            time += fraction;
            behind = Scan.digitsEnd(text, limit, behind + 1);
        }
        return !Scan.alnum(peek(behind)) && done(time, behind, true, true);
    }

    private boolean named(int pos) {
        int start = pos;
        boolean weekday = name(DAYS, pos) >= 0;
        if (weekday) {
            int behind = pos + 3 + (peek(pos + 3) == ',' ? 1 : 0);
            weekday = peek(behind) == ' ';
            if (weekday) start = Scan.skipSpaces(text, limit, behind);
        }
        if (weekday && digit(peek(start))) {
            long day = digits(start, 2);
            int count = found;
            int month = month(start + count + 1);
            return month > 0 && dayMonthYear(day, month, start + count + 4, peek(start + count));
        }
        int month = month(start);
        if (month == 0 || peek(start + 3) != ' ') return false;
        int dayAt = Scan.skipSpaces(text, limit, start + 3);
        long day = digits(dayAt, 2);
        int afterDay = dayAt + found;
        if (found == 0) return false;
        int yearAt = afterDay + (peek(afterDay) == ',' ? 1 : 0) + 1;
        long year = exact(yearAt, 4);
        if (year >= 0 && peek(yearAt + 4) == ' ' && clock(Scan.skipSpaces(text, limit, yearAt + 4), false)) {
            return combine(year, month, day);
        }
        if (peek(afterDay) != ' ' || !clock(afterDay + 1, false)) return false;
        int behind = clockEnd;
        if (peek(behind) == ' ') {
            year = exact(behind + 1, 4);
            if (year >= 1970 && year < 2100 && !Scan.alnum(peek(behind + 5))) {
                clockEnd = behind + 5;
                return combine(year, month, day);
            }
        }
        if (!withYear(month, day)) return false;
        syslog = !weekday;
        return true;
    }
}
