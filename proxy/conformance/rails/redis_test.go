//go:build rails

package rails

import (
	"bufio"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

// ask has Redis answer a command whose answer is one number; 0 if it has none.
func ask(port int, command string) (int, error) {
	c, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), time.Second)
	if err != nil {
		return 0, err
	}
	defer func() { _ = c.Close() }()
	if err := c.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return 0, err
	}
	if _, err := fmt.Fprintf(c, "%s\r\n", command); err != nil {
		return 0, err
	}
	r := bufio.NewReader(c)
	line, err := r.ReadString('\n')
	switch {
	case err != nil:
		return 0, err
	case strings.HasPrefix(line, "$-1"):
		return 0, nil
	case strings.HasPrefix(line, "$"):
		if line, err = r.ReadString('\n'); err != nil {
			return 0, err
		}
	case strings.HasPrefix(line, "-"):
		return 0, fmt.Errorf("redis: %s", strings.TrimSpace(line[1:]))
	}
	return strconv.Atoi(strings.Trim(line, ":\r\n"))
}
