package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const tick = 200 * time.Millisecond

type logOptions struct {
	follow     bool
	timestamps bool
	tail       int64
	limit      int64
}

func serveLogs(ctx context.Context, pod *pod, w http.ResponseWriter, request *http.Request) {
	query := request.URL.Query()
	w.Header().Set("Content-Type", "text/plain")
	w.WriteHeader(http.StatusOK)
	// Following a quiet log must not look like an API server that does not answer.
	w.(http.Flusher).Flush()
	writeLog(ctx, flushed{w}, pod, logOptions{
		follow:     query.Get("follow") == "true",
		timestamps: query.Get("timestamps") == "true",
		tail:       numberOr(query.Get("tailLines"), -1),
		limit:      numberOr(query.Get("limitBytes"), -1),
	})
}

func numberOr(text string, otherwise int64) int64 {
	number, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return otherwise
	}
	return number
}

type flushed struct{ http.ResponseWriter }

func (to flushed) Write(bytes []byte) (int, error) {
	count, err := to.ResponseWriter.Write(bytes)
	to.ResponseWriter.(http.Flusher).Flush()
	return count, err
}

// The log of a pod is a function of time, so that every reader sees the same one:
// line number n is there once the pod has run for n ticks.
func (pod *pod) linesBy(now time.Time) int64 {
	if !pod.ticks {
		return int64(len(quietLog))
	}
	return int64(now.Sub(pod.started)/tick) + 1
}

func (pod *pod) line(number int64) string {
	if !pod.ticks {
		return quietLog[number]
	}
	return fmt.Sprintf("tick %d", number)
}

var quietLog = []string{"starting", "listening", "ready"}

func writeLog(ctx context.Context, to io.Writer, pod *pod, options logOptions) error {
	number := int64(0)
	if options.tail >= 0 {
		number = max(0, pod.linesBy(time.Now())-options.tail)
	}
	left := options.limit
	for {
		text := pod.linesFrom(&number, options.timestamps)
		if left >= 0 && int64(len(text)) > left {
			text = text[:left]
		}
		left -= int64(len(text))
		if len(text) > 0 {
			if _, err := io.WriteString(to, text); err != nil {
				return err
			}
		}
		if !options.follow || (options.limit >= 0 && left <= 0) {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(tick / 4):
		}
	}
}

func (pod *pod) linesFrom(number *int64, timestamps bool) string {
	var text strings.Builder
	for now := pod.linesBy(time.Now()); *number < now; *number++ {
		if timestamps {
			at := pod.started.Add(time.Duration(*number) * tick)
			text.WriteString(at.UTC().Format(time.RFC3339Nano) + " ")
		}
		text.WriteString(pod.line(*number) + "\n")
	}
	return text.String()
}
