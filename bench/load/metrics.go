package load

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Metrics is one look at a page of metrics in Prometheus' text form: value by name and labels, as they are printed.
type Metrics map[string]float64

// metricsPatience is how long a page may take. It is read while the proxy is under load.
const metricsPatience = 5 * time.Second

// ReadMetrics fetches the pages and adds them up. Without a page all is zero.
func ReadMetrics(ctx context.Context, urls ...string) (Metrics, error) {
	sum := Metrics{}
	for _, url := range urls {
		m, err := readMetrics(ctx, url)
		if err != nil {
			return nil, err
		}
		for name, v := range m {
			sum[name] += v
		}
	}
	return sum, nil
}

func readMetrics(ctx context.Context, url string) (Metrics, error) {
	ctx, cancel := context.WithTimeout(ctx, metricsPatience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("read metrics: %w", err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("read metrics: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("read metrics: %s", res.Status)
	}
	return parseMetrics(res.Body)
}

func parseMetrics(r io.Reader) (Metrics, error) {
	m := Metrics{}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		line := lines.Text()
		if line == "" || line[0] == '#' {
			continue
		}
		// A label may hold spaces; a value may not, and this page has no timestamps.
		i := strings.LastIndexByte(line, ' ')
		if i < 0 {
			return nil, fmt.Errorf("read metrics: no value in %q", line)
		}
		v, err := strconv.ParseFloat(line[i+1:], 64)
		if err != nil {
			return nil, fmt.Errorf("read metrics: %w", err)
		}
		m[line[:i]] = v
	}
	return m, lines.Err()
}

// Sum adds up the metric over all its labels.
func (m Metrics) Sum(name string) float64 {
	sum := 0.0
	for k, v := range m {
		if k == name || strings.HasPrefix(k, name+"{") {
			sum += v
		}
	}
	return sum
}

// By returns the metric's values that are not zero, by the value of its label; a metric with more labels is added up.
func (m Metrics) By(name, label string) map[string]float64 {
	out := map[string]float64{}
	for k, v := range m {
		labels, ok := strings.CutPrefix(k, name+"{")
		if !ok || v == 0 {
			continue
		}
		if _, rest, ok := strings.Cut(labels, label+`="`); ok {
			value, _, _ := strings.Cut(rest, `"`)
			out[value] += v
		}
	}
	return out
}
