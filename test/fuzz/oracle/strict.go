package main

import (
	"bytes"
	"regexp"
	"strings"
)

const tokenForm = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"

// A regular expression of Go's reads UTF-8; by Latin-1 a byte is a character here too.
var (
	requestForm = regexp.MustCompile(`^` + tokenForm + ` [!-~]+ HTTP/1\.1$`)
	statusForm  = regexp.MustCompile(`^HTTP/1\.[01] [1-5][0-9]{2}( [\t -~\x{80}-\x{ff}]*)?$`)
	fieldForm   = regexp.MustCompile(`^(` + tokenForm + `):[\t ]*([\t -~\x{80}-\x{ff}]*)$`)
	lengthForm  = regexp.MustCompile(`^[0-9]+$`)
	sizeForm    = regexp.MustCompile(`^[0-9A-Fa-f]+$`)
)

// oddity names the first thing in a message that RFC 9112 does not allow, or that has been read in
// more than one way by somebody; "" is none.
func oddity(head []byte, framing string, body []byte) string {
	if odd := oddHead(latin(string(head))); odd != "" {
		return odd
	}
	if framing == "chunked" {
		return oddChunks(body)
	}
	return ""
}

func oddHead(head string) string {
	text, isWhole := strings.CutSuffix(head, "\r\n\r\n")
	if !isWhole {
		return "the head does not end in two CR LF"
	}
	lines := strings.Split(text, "\r\n")
	isAnswer := strings.HasPrefix(lines[0], "HTTP/")
	if !isAnswer && !requestForm.MatchString(lines[0]) || isAnswer && !statusForm.MatchString(lines[0]) {
		return "the first line"
	}
	counts := map[string]int{}
	for _, line := range lines[1:] {
		found := fieldForm.FindStringSubmatch(line)
		if found == nil {
			return "a field line"
		}
		name, value := strings.ToLower(found[1]), strings.Trim(found[2], " \t")
		counts[name]++
		if name == "content-length" && !lengthForm.MatchString(value) {
			return "a length"
		}
		if name == "transfer-encoding" && !strings.EqualFold(value, "chunked") {
			return "a transfer coding"
		}
	}
	return oddCounts(counts, isAnswer, lines[0])
}

func oddCounts(counts map[string]int, isAnswer bool, first string) string {
	if counts["content-length"]+counts["transfer-encoding"] > 1 {
		return "two lengths"
	}
	// RFC 9112 section 6.1: in HTTP/1.0 there is no transfer coding.
	if counts["transfer-encoding"] > 0 && strings.HasPrefix(first, "HTTP/1.0") {
		return "a transfer coding in HTTP/1.0"
	}
	if !isAnswer && counts["host"] != 1 {
		return "not one Host"
	}
	return ""
}

func oddChunks(body []byte) string {
	for {
		line, rest, found := bytes.Cut(body, []byte("\r\n"))
		if !found || !sizeForm.Match(line) {
			return "the size of a chunk"
		}
		size := 0
		for _, digit := range bytes.ToLower(line) {
			size = size*16 + strings.IndexByte("0123456789abcdef", digit)
		}
		if size == 0 {
			return oddTrailers(latin(string(rest)))
		}
		if len(rest) < size+2 || rest[size] != '\r' || rest[size+1] != '\n' {
			return "the end of a chunk"
		}
		body = rest[size+2:]
	}
}

func oddTrailers(text string) string {
	for line := range strings.SplitSeq(strings.TrimSuffix(text, "\r\n"), "\r\n") {
		if line != "" && !fieldForm.MatchString(line) {
			return "a trailer"
		}
	}
	return ""
}
