package proxy

import (
	"context"
	"errors"
	"fmt"
	"os"

	"pgguard/proxy/sock"
)

// ancestor is the process whose place this one has taken, as this one sees it.
type ancestor struct {
	p     *sock.Passage
	deeds *sock.Deeds
}

// Inheritance is what a process that takes another's place has been given.
type Inheritance struct {
	// Handed are the listeners.
	Handed *sock.Handed

	p     *sock.Passage
	deeds *sock.Deeds
	from  standing
}

// Inherit asks the process at the other end of p for its listeners. Nothing changes there until TakeOver. The Inheritance owns p.
func Inherit(ctx context.Context, p *sock.Passage, version string) (*Inheritance, error) {
	stop := context.AfterFunc(ctx, func() { _ = p.Close() })
	defer stop()
	in := &Inheritance{p: p}
	err := pass(p, passHello, newcomer{HandoverFormat, version, os.Getpid()})
	if err == nil {
		err = in.receive()
	}
	if err != nil {
		_ = p.Close()
		return nil, fmt.Errorf("take over: %w", errors.Join(err, ctx.Err()))
	}
	return in, nil
}

// maxLent bounds the listeners that are taken.
const maxLent = 1000

// receive takes the listeners.
func (in *Inheritance) receive() (err error) {
	var files []*os.File
	var own []int
	defer func() {
		if in.Handed == nil {
			for _, f := range files {
				_ = f.Close()
			}
			if in.deeds != nil {
				in.deeds.Close()
			}
		}
	}()
	for {
		kind, body, with, err := in.p.Receive()
		switch {
		case kind == passAll && with != nil:
			return in.receiveAll(body, files, own, with)
		case with != nil:
			files = append(files, with)
		}
		switch {
		case err != nil:
			return fmt.Errorf("the running pgguard has not answered: %w", err)
		case kind == passNo:
			n, err := hear[refused](body)
			return errors.Join(errors.New(n.Why), err)
		case kind == passListener && with != nil && len(files) <= maxLent:
			at, err := hear[place](body)
			if err != nil {
				return err
			}
			if at.Own {
				own = append(own, len(files)-1)
			}
		case kind == passListener:
			return errors.New("a listener came without its socket, or one too many")
		default:
			return errKind(kind, passListener)
		}
	}
}

// receiveAll takes the last message before this process starts.
func (in *Inheritance) receiveAll(body []byte, files []*os.File, own []int, deeds *os.File) (err error) {
	if in.deeds, err = sock.OpenDeeds(deeds); err != nil {
		return err
	}
	if in.from, err = hear[standing](body); err != nil {
		return err
	}
	if in.Handed, err = sock.NewHanded(files); err != nil {
		return err
	}
	for _, i := range own {
		in.Handed.Own(i)
	}
	return nil
}

// Close gives everything up, and the other process goes on as before; after TakeOver has succeeded it gives up the sockets that nobody has taken.
func (in *Inheritance) Close() {
	in.Handed.Close()
	if in.p != nil {
		_ = in.p.Close()
		in.deeds.Close()
	}
}
