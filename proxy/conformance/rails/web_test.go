//go:build rails

package rails

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// web is the application as it runs in production: Puma, Sidekiq's processes and the Redis between them.
type web struct {
	w     *world
	url   string
	redis int
	puma  *process
	all   []*process
}

// size is how many of what there are.
type size struct{ pumas, threads, sidekiqs, jobs int }

// serve starts the application, and waits until pages come and jobs are worked on.
func (w *world) serve(name string, at place, s size) *web {
	w.t.Helper()
	app := &web{w: w, redis: freePort(w.t)}
	redis := start(w.t, name+"-redis", w.t.TempDir(), nil, "redis-server", "--port", strconv.Itoa(app.redis), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no")
	redis.listens(app.redis)
	port := freePort(w.t)
	app.url = fmt.Sprintf("http://127.0.0.1:%d", port)
	env := w.env(at, "RAILS_ENV=production", fmt.Sprintf("REDIS_URL=redis://127.0.0.1:%d/0", app.redis), fmt.Sprintf("PORT=%d", port))
	app.puma = start(w.t, name+"-puma", w.app(), append(env, fmt.Sprintf("WEB_CONCURRENCY=%d", s.pumas), fmt.Sprintf("RAILS_MAX_THREADS=%d", s.threads)),
		apart("bundle", "exec", "puma", "-C", "config/puma.rb")...)
	app.all = []*process{app.puma}
	for i := range s.sidekiqs {
		p := start(w.t, fmt.Sprintf("%s-sidekiq%d", name, i), w.app(), append(env, fmt.Sprintf("RAILS_MAX_THREADS=%d", s.jobs)), apart("bundle", "exec", "sidekiq")...)
		app.all = append(app.all, p)
	}
	app.puma.await("Sidekiq works on jobs", func() bool {
		n, err := ask(app.redis, "SCARD processes")
		return err == nil && n == s.sidekiqs
	})
	app.puma.await("a page comes", func() bool {
		v, err := newVisitor(app.url)
		return err == nil && v.get(w.t.Context(), "/orders") == nil
	})
	app.all = append(app.all, redis)
	return app
}

// stop ends it: the web first, Redis last.
func (a *web) stop() {
	for _, p := range a.all {
		p.stop()
	}
}

// visitor is somebody with a browser: cookies, and the token that the forms of a page have.
type visitor struct {
	base  string
	http  http.Client
	token string
}

func newVisitor(base string) (*visitor, error) {
	jar, err := cookiejar.New(nil)
	v := &visitor{base: base}
	v.http = http.Client{Jar: jar, Timeout: impatience, Transport: &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return v, err
}

// impatience is after how long somebody gives a page up.
const impatience = 10 * time.Second

var aToken = regexp.MustCompile(`name="csrf-token" content="([^"]+)"`)

// status is an answer that is no page.
type status int

func (s status) Error() string { return "status " + strconv.Itoa(int(s)) }

func (v *visitor) do(ctx context.Context, method, path string, form url.Values) (string, error) {
	r, err := http.NewRequestWithContext(ctx, method, v.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	answer, err := v.http.Do(r)
	if err != nil {
		return "", err
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode >= 400 {
		err = status(answer.StatusCode)
	}
	return string(body), err
}

// get looks at a page, and remembers its token.
func (v *visitor) get(ctx context.Context, path string) error {
	page, err := v.do(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	m := aToken.FindStringSubmatch(page)
	if m == nil {
		return errors.New("the page has no token")
	}
	v.token = cmp.Or(v.token, m[1])
	return nil
}

// post sends a form; get must have been called before.
func (v *visitor) post(ctx context.Context, path string, form url.Values) error {
	form = url.Values(http.Header(form).Clone())
	form.Set("authenticity_token", v.token)
	_, err := v.do(ctx, http.MethodPost, path, form)
	return err
}

// use has a visitor order something and write a report, and waits until the jobs are done.
func (a *web) use(t *testing.T, at place) {
	t.Helper()
	v, err := newVisitor(a.url)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []func() error{
		func() error { return v.get(t.Context(), "/orders") },
		func() error {
			return v.post(t.Context(), "/orders", url.Values{"product_id": {"1"}, "quantity": {"3"}})
		},
		func() error { return v.post(t.Context(), "/jobs", url.Values{"count": {"2"}}) },
		func() error { return v.get(t.Context(), "/jobs") },
	} {
		if err := step(); err != nil {
			t.Fatalf("%v\n%s", err, a.puma.out.tail())
		}
	}
	const done = "select (select count(*) from orders where status = 'confirmed' and id > 100), (select count(*) from reports)"
	a.puma.await("the jobs are done", func() bool {
		out, err := a.w.client(at, "shop", "psql", "-Atc", done)
		return err == nil && out == "1|2\n"
	})
}
