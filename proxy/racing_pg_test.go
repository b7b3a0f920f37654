//go:build pg && race

package proxy

// racing is true under the race detector, which makes sync.Pool forget.
const racing = true
