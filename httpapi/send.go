package httpapi

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A peer that stalls would hold a body's memory, or a view, for ever: it has
// RequestTimeout for a body to come, and for each piece of a long answer to go. The
// connection bounds the short ones (connections.go). A deadline that can't be set is
// no error: what takes none, as in a test, is no network.

// readSoon bounds what is read until the returned function is called. It MUST be
// called: the server reads on in the background, and takes a passed deadline
// for a peer that has gone.
func (k *call) readSoon() (done func()) {
	connection := http.NewResponseController(k.Response())
	_ = connection.SetReadDeadline(time.Now().Add(k.server.opts.RequestTimeout))
	return func() { _ = connection.SetReadDeadline(time.Time{}) }
}

// maxLinger is how long a body may come that no one wants any more.
const maxLinger = 5 * time.Second

// leaveBody is for an answer that is given before the body was read to its end. It
// MUST be called before the header is sent: to keep the connection, net/http would first
// wait for the rest of the body, perhaps for ever. So the connection is given up. net/http
// still reads the rest after the answer, for clients that send all before they read: that
// has to come soon.
func (k *call) leaveBody() {
	if k.bodyDone || k.Request().ContentLength == 0 {
		return
	}
	k.bodyDone = true
	k.Response().Header()["Connection"] = []string{"close"}
	soon := time.Now().Add(min(maxLinger, k.server.opts.RequestTimeout))
	_ = http.NewResponseController(k.Response()).SetReadDeadline(soon)
}

func (k *call) writeSoon() {
	_ = http.NewResponseController(k.Response()).SetWriteDeadline(time.Now().Add(k.server.opts.RequestTimeout))
}

// send writes an answer and frees its document.
func (k *call) send(status int, contentType []string, d *document) {
	k.sendText(status, contentType, d.b)
	d.free()
}

// sendText is send for a text that is there already, and stays.
func (k *call) sendText(status int, contentType []string, text []byte) {
	k.leaveBody()
	header := k.Response().Header()
	header["Content-Type"] = contentType
	header["Content-Length"] = k.values.of(lengthPlace, strconv.Itoa(len(text)))
	k.Response().WriteHeader(status)
	_ = k.write(text) // a client that has gone has no use for an error
}

// Of a long answer each piece has RequestTimeout. A short one mostly fits into the
// socket's buffer, and needs no deadline of its own, which isn't free.
const (
	shortAnswer = 16 << 10
	answerPiece = 256 << 10
)

// write writes all of an answer, or the next part of it.
func (k *call) write(b []byte) error {
	if len(b) <= shortAnswer {
		_, err := k.Response().Write(b)
		return err
	}
	for piece := range slices.Chunk(b, answerPiece) {
		k.writeSoon()
		if _, err := k.Response().Write(piece); err != nil {
			return err
		}
	}
	return nil
}

// flushBytes is how much of a long answer is kept before it is sent.
const flushBytes = 32 << 10

// begin sends the header of an answer whose length isn't known; what fails after
// it breaks the answer off.
func (k *call) begin(contentType []string) {
	k.unlimited()
	k.Response().Header()["Content-Type"] = contentType
	k.Response().WriteHeader(statusOK)
}

// flush sends what a document has, but for the last byte: what comes next looks
// at it to know whether a comma is due.
func (k *call) flush(d *document) error {
	if len(d.b) < flushBytes {
		return nil
	}
	last := len(d.b) - 1
	err := k.write(d.b[:last])
	d.b = append(d.b[:0], d.b[last])
	return err
}

// finish sends what is left; it may be little, but after much else.
func (k *call) finish(d *document) error {
	k.writeSoon()
	return k.write(d.b)
}

// wants tells whether the client asks for a media type before JSON (RFC 9110, section
// 12.5.1). Of two that it likes as well it gets the one that it names first, and JSON
// where it likes neither: that is better than no answer.
func (k *call) wants(media string) bool {
	ranges := strings.Split(strings.Join(k.Request().Header["Accept"], ","), ",")
	quality, at := preference(ranges, media)
	ofJSON, atJSON := preference(ranges, "application/json")
	return quality > ofJSON || quality == ofJSON && quality > 0 && at < atJSON
}

// preference is how much the most specific of the ranges that has a media type likes
// it, and which of them that is; 0 if none has.
func preference(ranges []string, media string) (quality float64, at int) {
	general := media[:strings.IndexByte(media, '/')+1] + "*"
	for _, of := range []string{media, general, "*/*"} {
		for i, part := range ranges {
			name, parameters, _ := strings.Cut(part, ";")
			if strings.EqualFold(strings.TrimSpace(name), of) {
				return qualityOf(parameters), i
			}
		}
	}
	return 0, 0
}

// qualityOf reads the weight of a range; 1 if it has none that can be read.
func qualityOf(parameters string) float64 {
	for parameter := range strings.SplitSeq(parameters, ";") {
		name, value, _ := strings.Cut(parameter, "=")
		if !strings.EqualFold(strings.TrimSpace(name), "q") {
			continue
		}
		if quality, err := strconv.ParseFloat(strings.TrimSpace(value), 64); err == nil && quality >= 0 && quality < 1 {
			return quality
		}
	}
	return 1
}

// Content types, made once.
var (
	jsonType    = []string{"application/json"}
	problemType = []string{"application/problem+json"}
	textType    = []string{"text/plain; charset=utf-8"}
	// Answers are somebody's own, and old ones are wrong ones.
	noCache = []string{"private, no-cache"}
)
