package transparency

import (
	"bytes"
	"fmt"
	"io"

	"github.com/go-json-experiment/json"
)

// A file of checkpoints gets one a minute or one every 10,000 events, for ever: a busy
// engine's has gigabytes after a year. So nothing here reads all of it. Each line has a
// larger tree than the one before it: what covers a size is found by halving.

// lineWindow is what is read at once on either side of a place: more than a line has.
const lineWindow = 4096

// lineAround gives the line that the byte at is in, and where it begins. MUST: a line
// begins at low and one ends at high, and at is between them.
func lineAround(f io.ReaderAt, low, at, high int64) (line []byte, start int64, err error) {
	for window := int64(lineWindow); ; window *= 2 {
		from, to := max(low, at-window), min(high, at+window)
		b := make([]byte, to-from)
		if _, err := f.ReadAt(b, from); err != nil {
			return nil, 0, fmt.Errorf("read checkpoints: %w", err)
		}
		before := bytes.LastIndexByte(b[:at-from], '\n')
		behind := bytes.IndexByte(b[at-from:], '\n')
		if (before < 0 && from > low) || (behind < 0 && to < high) {
			continue
		}
		if behind < 0 {
			return nil, 0, fmt.Errorf("damaged checkpoint at byte %d: the line has no end", from)
		}
		return b[before+1 : at-from+int64(behind)+1], from + int64(before) + 1, nil
	}
}

// parseLine reads a line, and says of one that can't be read where it is.
func parseLine(line []byte, start int64) (s Signed, err error) {
	if err := json.Unmarshal(bytes.TrimSuffix(line, []byte("\n")), &s, json.RejectUnknownMembers(true)); err != nil {
		return s, fmt.Errorf("damaged checkpoint at byte %d: %w", start, err)
	}
	return s, nil
}

// lastSigned gives the newest checkpoint, and where it ends; 0: there is none. A last
// line may be broken as scanSigned says, and only that one: each was synced before the next.
func lastSigned(f io.ReaderAt, size int64) (last Signed, end int64, err error) {
	end, err = lastNewline(f, size)
	if err != nil || end == 0 {
		return last, 0, err
	}
	line, start, err := lineAround(f, 0, end-1, end)
	if err != nil {
		return last, 0, err
	}
	last, err = parseLine(line, start)
	if err == nil || end < size || bytes.IndexByte(line, 0) < 0 {
		return last, end, err
	}
	if start == 0 {
		return Signed{}, 0, nil
	}
	if line, start, err = lineAround(f, 0, start-1, start); err != nil {
		return last, 0, err
	}
	last, err = parseLine(line, start)
	return last, start + int64(len(line)), err
}

// lastNewline gives where the last whole line ends.
func lastNewline(f io.ReaderAt, size int64) (int64, error) {
	b := make([]byte, lineWindow)
	for to := size; to > 0; {
		from := max(0, to-lineWindow)
		if _, err := f.ReadAt(b[:to-from], from); err != nil {
			return 0, fmt.Errorf("read checkpoints: %w", err)
		}
		if i := bytes.LastIndexByte(b[:to-from], '\n'); i >= 0 {
			return from + int64(i) + 1, nil
		}
		to = from
	}
	return 0, nil
}

// covering gives the oldest checkpoint with at least size leaves of those before end;
// false if there is none.
func covering(f io.ReaderAt, size uint64, end int64) (found Signed, exists bool, err error) {
	// What begins before low is smaller; what begins at high or behind it is found, or isn't.
	for low, high := int64(0), end; low < high; {
		line, start, err := lineAround(f, low, low+(high-low)/2, high)
		if err != nil {
			return Signed{}, false, err
		}
		s, err := parseLine(line, start)
		switch {
		case err != nil:
			return Signed{}, false, err
		case s.Size >= size:
			found, exists, high = s, true, start
		default:
			low = start + int64(len(line))
		}
	}
	return found, exists, nil
}
