// Pulls one URL with many connections at once and throws the bytes away in the kernel, so that a server can be measured on
// the machine that its clients share with it. Prints one JSON object.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"sync"
	"syscall"
	"time"
)

// One pull, times from the moment all clients began.
type pull struct {
	Status      int     `json:"status"`
	Bytes       int64   `json:"bytes"`
	Length      int64   `json:"length"`
	FirstByteMs float64 `json:"firstByteMs"`
	LastByteMs  float64 `json:"lastByteMs"`
	Error       string  `json:"error,omitempty"`
}

type result struct {
	Pulls      []pull  `json:"pulls"`
	Seconds    float64 `json:"seconds"`
	CPUSeconds float64 `json:"cpuSeconds"`
}

const readBytes = 1 << 20

func main() {
	clients := flag.Int("clients", 1, "connections at once")
	authorization := flag.String("authorization", "", "its header")
	flag.Parse()
	target, err := url.Parse(flag.Arg(0))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	pulls := make([]pull, *clients)
	var all sync.WaitGroup
	begin := time.Now()
	for i := range pulls {
		all.Go(func() {
			if err := get(target, *authorization, begin, &pulls[i]); err != nil {
				pulls[i].Error = err.Error()
			}
		})
	}
	all.Wait()
	var usage syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	cpu := time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	json.NewEncoder(os.Stdout).Encode(result{pulls, time.Since(begin).Seconds(), cpu.Seconds()})
}

func get(target *url.URL, authorization string, begin time.Time, done *pull) error {
	connection, err := net.Dial("tcp", target.Host)
	if err != nil {
		return err
	}
	defer connection.Close()
	request, err := http.NewRequest("GET", target.String(), nil)
	if err != nil {
		return err
	}
	if authorization != "" {
		request.Header.Set("Authorization", authorization)
	}
	request.Close = true
	if err := request.Write(connection); err != nil {
		return err
	}
	buffered := bufio.NewReader(connection)
	answer, err := http.ReadResponse(buffered, request)
	if err != nil {
		return err
	}
	done.Status, done.Length = answer.StatusCode, answer.ContentLength
	if answer.StatusCode != http.StatusOK || answer.ContentLength <= 0 {
		return fmt.Errorf("status %d, length %d", answer.StatusCode, answer.ContentLength)
	}
	if _, err := buffered.Peek(1); err != nil {
		return err
	}
	done.FirstByteMs = since(begin)
	done.Bytes = int64(buffered.Buffered())
	if err := discard(connection.(*net.TCPConn), done); err != nil {
		return err
	}
	done.LastByteMs = since(begin)
	return nil
}

// Takes the rest of the body off the socket without copying it (tcp(7), MSG_TRUNC).
func discard(connection *net.TCPConn, done *pull) error {
	raw, err := connection.SyscallConn()
	if err != nil {
		return err
	}
	space := make([]byte, readBytes)
	for done.Bytes < done.Length {
		var count int
		var failure error
		err := raw.Read(func(fd uintptr) bool {
			count, _, failure = syscall.Recvfrom(int(fd), space, syscall.MSG_TRUNC)
			return failure != syscall.EAGAIN && failure != syscall.EINTR
		})
		if err != nil {
			return err
		}
		if failure != nil {
			return failure
		}
		if count == 0 {
			return fmt.Errorf("cut off after %d of %d bytes", done.Bytes, done.Length)
		}
		done.Bytes += int64(count)
	}
	return nil
}

func since(begin time.Time) float64 {
	return float64(time.Since(begin).Microseconds()) / 1000
}
