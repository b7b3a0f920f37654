package deploy

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"pgguard/proxy/config"
)

// node is a part of a manifest.
type node map[string]any

// at follows keys and numbers of a path such as spec.containers.0.name; nil where there is nothing.
func (n node) at(path string) any {
	var v any = map[string]any(n)
	for _, key := range strings.Split(path, ".") {
		switch in := v.(type) {
		case map[string]any:
			v = in[key]
		case []any:
			i, err := strconv.Atoi(key)
			if err != nil || i >= len(in) {
				return nil
			}
			v = in[i]
		default:
			return nil
		}
	}
	return v
}

func (n node) text(path string) string { s, _ := n.at(path).(string); return s }

// number is a number of seconds or pieces.
func (n node) number(path string) int {
	switch v := n.at(path).(type) {
	case uint64:
		return int(v)
	case int64:
		return int(v)
	}
	return -1
}

func (n node) is(path string) bool { b, _ := n.at(path).(bool); return b }

// texts is a list of texts.
func (n node) texts(path string) (list []string) {
	in, _ := n.at(path).([]any)
	for _, v := range in {
		s, _ := v.(string)
		list = append(list, s)
	}
	return list
}

// documents are those of a file of YAML.
func documents(t *testing.T, path string) (all []node) {
	t.Helper()
	for d := yaml.NewDecoder(bytes.NewReader(read(t, path))); ; {
		n := map[string]any{}
		if err := d.Decode(&n); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		all = append(all, n)
	}
}

// kind is the document of a kind.
func kind(t *testing.T, path, kind string) node {
	t.Helper()
	for _, n := range documents(t, path) {
		if n.text("kind") == kind {
			return n
		}
	}
	t.Fatalf("%s has no %s", path, kind)
	return nil
}

// grace is how long a drain takes with a configuration.
func grace(t *testing.T, text string) time.Duration {
	t.Helper()
	f, err := config.Parse("pgguard.yaml", []byte(text+"\nupstream: postgres://app@db/app\n"))
	if err != nil {
		t.Fatal(err)
	}
	return f.Shutdown.Grace.Std()
}

// TestSidecarStartsFirstAndDrains: a native sidecar is an init container that is always restarted; the kubelet ends it after the application, and must
// leave it the time.
func TestSidecarStartsFirstAndDrains(t *testing.T) {
	for path, is := range map[string]string{"kubernetes/sidecar.yaml": "Deployment", "kubernetes/job.yaml": "Job"} {
		pod := node(kind(t, path, is).at("spec.template").(map[string]any))
		guard := node(pod.at("spec.initContainers.0").(map[string]any))
		if guard.text("restartPolicy") != "Always" || guard.at("startupProbe") == nil {
			t.Errorf("%s: the guard is no sidecar that what comes after it waits for", path)
		}
		if left := pod.number("spec.terminationGracePeriodSeconds"); is == "Deployment" && time.Duration(left)*time.Second <= grace(t, "") {
			t.Errorf("%s: a drain takes %s, and gets %d s", path, grace(t, ""), left)
		}
		if is == "Job" && pod.text("spec.restartPolicy") != "Never" {
			t.Errorf("%s: the Job begins again by itself", path)
		}
		confined(t, path, guard, guard)
		upstreamIsSecret(t, path, guard)
	}
}

// confined has a container run as nobody, on a file system that it cannot write to.
func confined(t *testing.T, path string, pod, container node) {
	t.Helper()
	user := container.at("securityContext.runAsUser")
	if user == nil {
		user = pod.at("spec.securityContext.runAsUser")
	}
	if user == nil || !container.is("securityContext.readOnlyRootFilesystem") || container.at("securityContext.allowPrivilegeEscalation") != false ||
		!slices.Equal(container.texts("securityContext.capabilities.drop"), []string{"ALL"}) {
		t.Errorf("%s: the guard may do more than it must", path)
	}
}

// upstreamIsSecret holds that the password is in no manifest.
func upstreamIsSecret(t *testing.T, path string, container node) {
	t.Helper()
	for _, v := range container.at("env").([]any) {
		e := node(v.(map[string]any))
		if e.text("name") == "PGGUARD_UPSTREAM" {
			if e.text("valueFrom.secretKeyRef.name") == "" {
				t.Errorf("%s: the upstream is not from a secret", path)
			}
			return
		}
	}
	t.Errorf("%s: the guard has no upstream", path)
}

// TestProbesAskTheGuard: whether it is to be restarted is another question than whether it can serve a client: a restart does not mend a database.
func TestProbesAskTheGuard(t *testing.T) {
	for _, file := range []string{"sidecar", "job", "central"} {
		for _, n := range documents(t, "kubernetes/"+file+".yaml") {
			for _, at := range []string{"spec.template.spec.initContainers.0", "spec.template.spec.containers.0"} {
				c, ok := n.at(at).(map[string]any)
				if !ok || node(c).text("name") != "pgguard" {
					continue
				}
				alive, ready := []string{"/pgguard", "ready", "--alive"}, []string{"/pgguard", "ready"}
				if got := node(c).texts("livenessProbe.exec.command"); got != nil && !slices.Equal(got, alive) {
					t.Errorf("%s: the liveness probe is %q", file, got)
				}
				if got := node(c).texts("readinessProbe.exec.command"); file == "central" && !slices.Equal(got, ready) {
					t.Errorf("%s: the readiness probe is %q", file, got)
				}
				if got := node(c).texts("startupProbe.exec.command"); !slices.Equal(got, alive) && !slices.Equal(got, ready) {
					t.Errorf("%s: the startup probe is %q", file, got)
				}
			}
		}
	}
}

// TestCentralGuardsAreOneService: selectors, ports and budgets are about the same pods, and there is always one left.
func TestCentralGuardsAreOneService(t *testing.T) {
	const path = "kubernetes/central.yaml"
	d, s := kind(t, path, "Deployment"), kind(t, path, "Service")
	budget, policy := kind(t, path, "PodDisruptionBudget"), kind(t, path, "NetworkPolicy")
	pod := node(d.at("spec.template").(map[string]any))
	name := pod.text("metadata.labels.app")
	for what, got := range map[string]string{
		"the Deployment": d.text("spec.selector.matchLabels.app"), "the Service": s.text("spec.selector.app"),
		"the PodDisruptionBudget": budget.text("spec.selector.matchLabels.app"), "the NetworkPolicy": policy.text("spec.podSelector.matchLabels.app"),
	} {
		if got != name || name == "" {
			t.Errorf("%s is about %q, the pods are %q", what, got, name)
		}
	}
	if n := d.number("spec.replicas"); n <= budget.number("spec.maxUnavailable") {
		t.Errorf("of %d guards %d may be away", n, budget.number("spec.maxUnavailable"))
	}
	if s.text("spec.ports.0.targetPort") != pod.text("spec.containers.0.ports.0.name") ||
		policy.number("spec.ingress.0.ports.0.port") != pod.number("spec.containers.0.ports.0.containerPort") {
		t.Error("service, policy and pod do not name the same port")
	}
	text, _ := kind(t, path, "ConfigMap").at("data").(map[string]any)["pgguard.yaml"].(string) // a name with a dot
	if left := pod.number("spec.terminationGracePeriodSeconds"); time.Duration(left)*time.Second <= grace(t, text) {
		t.Errorf("a drain takes %s, and gets %d s", grace(t, text), left)
	}
	confined(t, path, pod, node(pod.at("spec.containers.0").(map[string]any)))
	upstreamIsSecret(t, path, node(pod.at("spec.containers.0").(map[string]any)))
}

// TestContainerIsTheProgramAlone reads the instructions of the last stage.
func TestContainerIsTheProgramAlone(t *testing.T) {
	_, last, found := strings.Cut(string(read(t, "container/Dockerfile")), "\nFROM scratch\n")
	if !found {
		t.Fatal("the image is not made from nothing")
	}
	for what, want := range map[string]string{
		"user by number": `(?m)^USER [1-9]\d*:[1-9]\d*$`,
		"health check":   `(?m)^HEALTHCHECK .*CMD \["/pgguard", "ready"\]$`,
		"program":        `(?m)^ENTRYPOINT \["/pgguard"\]\nCMD \["serve"\]$`,
		"authorities":    `(?m)^COPY --from=build /etc/ssl/certs/ca-certificates.crt `,
	} {
		if !regexp.MustCompile(want).MatchString(last) {
			t.Errorf("the image has no %s", what)
		}
	}
	for _, line := range regexp.MustCompile(`(?m)^COPY (\S+) \S+ \./$`).FindAllStringSubmatch(string(read(t, "container/Dockerfile")), -1) {
		if _, err := os.Stat(filepath.Join("..", line[1])); err != nil {
			t.Error(err)
		}
	}
}

// TestComposeGivesTheGuardItsTime and a configuration without faults.
func TestComposeGivesTheGuardItsTime(t *testing.T) {
	c := documents(t, "container/compose.yaml")[0]
	text := string(read(t, "container/pgguard.yaml"))
	left, err := time.ParseDuration(c.text("services.pgguard.stop_grace_period"))
	if err != nil || left <= grace(t, text) {
		t.Errorf("a drain takes %s, and gets %s: %v", grace(t, text), left, err)
	}
	if !c.is("services.pgguard.read_only") {
		t.Error("the guard can write to its image")
	}
	for service := range c.at("services").(map[string]any) {
		for _, v := range c.texts("services." + service + ".volumes") {
			file, _, _ := strings.Cut(v, ":")
			if _, err := os.Stat(filepath.Join("container", file)); err != nil {
				t.Error(err)
			}
		}
	}
	if file := c.text("services.pgguard.build.dockerfile"); file != "deploy/container/Dockerfile" {
		t.Errorf("the image is made by %s", file)
	}
}

// TestComposeRunsTheExample: the application's programs know the guard alone, wait until the database is made, and run what the example has.
func TestComposeRunsTheExample(t *testing.T) {
	c := documents(t, "container/compose.yaml")[0]
	ports := map[string]string{}
	for service := range c.at("services").(map[string]any) {
		for _, p := range c.texts("services." + service + ".ports") {
			outside := p[:strings.LastIndex(p, ":")]
			if other, taken := ports[outside]; taken {
				t.Errorf("%s and %s are both at %s", service, other, outside)
			}
			ports[outside] = service
		}
	}
	for _, service := range []string{"setup", "web", "sidekiq"} {
		s, ok := c.at("services." + service).(map[string]any)
		if !ok {
			t.Errorf("there is no %s", service)
			continue
		}
		n := node(s)
		if dir := n.text("build.context"); dir != "../../examples/rails" {
			t.Errorf("%s is made from %s", service, dir)
		}
		if host, port := n.text("environment.DB_HOST"), n.text("environment.DB_PORT"); host != "pgguard" || port != "6432" {
			t.Errorf("%s goes to %s:%s", service, host, port)
		}
		if is := n.text("depends_on.setup.condition"); service != "setup" && is != "service_completed_successfully" {
			t.Errorf("%s starts when setup is %q", service, is)
		}
	}
	if is := c.text("services.setup.depends_on.pgguard.condition"); is != "service_healthy" {
		t.Errorf("the database is made when the guard is %q", is)
	}
}

// TestExampleIsWhole: the image has what the application's Gemfile names, and what its commands run is there.
func TestExampleIsWhole(t *testing.T) {
	const dir = "../examples/rails/"
	image := string(read(t, dir+"Dockerfile"))
	gems := regexp.MustCompile(`(?m)^gem "(\w+)"`).FindAllStringSubmatch(string(read(t, dir+"Gemfile")), -1)
	for _, gem := range gems {
		if !regexp.MustCompile(` (ruby-)?` + gem[1] + ` `).MatchString(image) {
			t.Errorf("the image has no %s", gem[1])
		}
	}
	if len(gems) < 4 {
		t.Errorf("only %d gems are found", len(gems))
	}
	for _, name := range []string{"bin/rails", "config/puma.rb", "config/sidekiq.yml", "config.ru"} {
		if info, err := os.Stat(dir + name); err != nil || name == "bin/rails" && info.Mode()&0o111 == 0 {
			t.Errorf("%s: %v %v", name, info, err)
		}
	}
}

// TestScriptsAreShell: their syntax is that of sh.
func TestScriptsAreShell(t *testing.T) {
	scripts, err := filepath.Glob("*.sh")
	if err != nil || len(scripts) == 0 {
		t.Fatal(scripts, err)
	}
	for _, s := range append(scripts, "heroku/with-pgguard") {
		if out, err := exec.Command("sh", "-n", s).CombinedOutput(); err != nil {
			t.Errorf("%s: %s", s, out)
		}
	}
}

// TestNobodyWaitsForAGuardThatHasEnded: with-pgguard gives up as soon as the guard cannot become ready any more, and runs its command where it is.
func TestNobodyWaitsForAGuardThatHasEnded(t *testing.T) {
	for _, c := range []struct {
		serves, ready string
		code          int
	}{
		{"exit 1", "exec sleep 20", 1},
		{"exec sleep 20", "exec sleep 0.3", 7},
	} {
		guard := filepath.Join(t.TempDir(), "pgguard")
		text := "#!/bin/sh\ncase $1 in serve) " + c.serves + " ;; ready) " + c.ready + " ;; esac\n"
		if err := os.WriteFile(guard, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("sh", "heroku/with-pgguard", "sh", "-c", "exit 7")
		cmd.Env = append(os.Environ(), "PGGUARD="+guard, "DATABASE_URL=postgres://app@db/app")
		began := time.Now()
		out, err := cmd.CombinedOutput()
		if took := time.Since(began); took > 10*time.Second || cmd.ProcessState.ExitCode() != c.code {
			t.Errorf("serve: %s: after %s code %d, want %d; %v %s", c.serves, took, cmd.ProcessState.ExitCode(), c.code, err, out)
		}
	}
}

// TestGuardOfADynoOutlivesTheCommand: Heroku tells all processes to stop at once, and kills what is left after 30 s. So the guard must not send the
// command's connections away before that; a configuration that somebody names is left alone.
func TestGuardOfADynoOutlivesTheCommand(t *testing.T) {
	dir := t.TempDir()
	guard := filepath.Join(dir, "pgguard")
	text := "#!/bin/sh\ncase $1 in serve) echo \"$#\" >" + dir + "/words; [ $# -eq 1 ] || cat \"$3\" >" + dir + "/file; exec sleep 20 ;; ready) exec sleep 0.3 ;; esac\n"
	if err := os.WriteFile(guard, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	run := func(env ...string) string {
		cmd := exec.Command("sh", "heroku/with-pgguard", "true")
		cmd.Env = append(append(os.Environ(), "PGGUARD="+guard, "DATABASE_URL=postgres://app@db/app", "TMPDIR="+dir), env...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return string(read(t, dir+"/words"))
	}
	if got := run("PGGUARD_CONFIG=/etc/pgguard.yaml"); got != "1\n" {
		t.Errorf("serve has %s words", got)
	}
	run("PGGUARD_CONFIG=")
	f, err := config.Parse("file", append(read(t, dir+"/file"), []byte("upstream: postgres://app@db/app\n")...))
	if err != nil {
		t.Fatal(err)
	}
	if s := f.Shutdown; !s.AcceptWhileDraining || s.IdleGrace.Std() < 20*time.Second || s.Grace.Std() >= 30*time.Second {
		t.Errorf("it drains with %+v", s)
	}
	if left, err := filepath.Glob(dir + "/*"); err != nil || len(left) != 3 {
		t.Errorf("what is left: %q, %v", left, err)
	}
}
