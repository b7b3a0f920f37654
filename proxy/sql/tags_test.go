package sql

import (
	"strings"
	"testing"
)

// tagsOf is what Tags yields, as key=value joined by spaces.
func tagsOf(text string) string {
	var all []string
	for key, value := range Tags([]byte(text)) {
		all = append(all, string(key)+"="+string(value))
	}
	return strings.Join(all, " ")
}

func TestTagsAreThoseOfTheFirstAndTheLastComment(t *testing.T) {
	long := strings.Repeat("x", maxTags-20)
	for _, tt := range []struct{ text, want string }{
		{"SELECT 1 /*application:Mastodon,controller:home,action:index*/", "application=Mastodon controller=home action=index"},
		{"SELECT 1 /*action='index',application='Mastodon',controller='home'*/", "action=index application=Mastodon controller=home"},
		{"BEGIN /*application:Mastodon,job:PublishScheduledStatusJob*/", "application=Mastodon job=PublishScheduledStatusJob"},
		{"BEGIN /*application='Mastodon',job='Admin%3A%3APublishJob'*/", "application=Mastodon job=Admin::PublishJob"},
		{"SELECT 1 /*action='index',namespaced_controller='api%2Fv1%2faccounts'*/", "action=index namespaced_controller=api/v1/accounts"},
		{"/*application:sidekiq,jid:7f,endpoint_id:UserStatusCleanup::BatchWorker*/ SELECT 1", "application=sidekiq jid=7f endpoint_id=UserStatusCleanup::BatchWorker"},
		{" \n/*a:1*/ SELECT 1 /*b:2*/ ; ", "b=2 a=1"},
		{"/*a:1*/", "a=1"},
		{"SELECT 1 /*a:1*/ + 2", ""},
		{"SELECT '/*a:1*/'", ""},
		{"SELECT $$ /*a:1*/$$", ""},
		{"SELECT \"/*a:1*/\"", ""},
		{"SELECT 1 -- a:1", ""},
		{"SELECT 1 -- /*a:1*/", "a=1"},
		{"SELECT 1 /*a:1*/ /*b:2*/", "b=2"},
		{"SELECT 1 /* a:1 , b:x y */", "a=1 b=x y"},
		{"SELECT 1 /* a='1' , b='it\\'s' */", "a=1 b=it's"},
		{"SELECT 1 /*a:*/", "a="},
		{"SELECT 1 /*a=''*/", "a="},
		{"SELECT 1 /*traceparent='00-abc-01',db.system='pg'*/", "traceparent=00-abc-01 db.system=pg"},
		{"SELECT 1 /*k:" + long + "*/", "k=" + long},

		{"SELECT 1 /*k:" + long + "0123456789abcdefgh*/", ""},
		{"/*k:" + long + "0123456789abcdefgh*/ SELECT 1", ""},
		{"SELECT 1 /*a:1,*/", ""},
		{"SELECT 1 /*a:1,,b:2*/", ""},
		{"SELECT 1 /*a:1,b='2'*/", ""},
		{"SELECT 1 /*a='1',b:2*/", ""},
		{"SELECT 1 /*a='1'b='2'*/", ""},
		{"SELECT 1 /*a='1',*/", ""},
		{"SELECT 1 /*a='1*/", ""},
		{"SELECT 1 /*a='%3'*/", ""},
		{"SELECT 1 /*a='%zz'*/", ""},
		{"SELECT 1 /*a='\\'*/", ""},
		{"SELECT 1 /*a=1*/", ""},
		{"SELECT 1 /*+ SeqScan(t) */", ""},
		{"SELECT 1 /* one, two */", ""},
		{"SELECT 1 /* /*a:1*/ */", ""},
		{"/* x /*a:1*/ */ SELECT 1", ""},
		{"/*a:1 SELECT 1", ""},
		{"SELECT 1 a:1*/", ""},
		{"SELECT 1 /**/", ""},
		{"/*/", ""},
		{"*/", ""},
		{"", ""},
	} {
		if got := tagsOf(tt.text); got != tt.want {
			t.Errorf("%.80q has %.80q, want %.80q", tt.text, got, tt.want)
		}
	}
}

func TestTagFindsTheFirst(t *testing.T) {
	text := []byte("/*job:outer,queue:low*/ SELECT 1 /*job='Inner%20Job'*/")
	for key, want := range map[string]string{"job": "Inner Job", "queue": "low"} {
		if value, ok := Tag(text, key); !ok || string(value) != want {
			t.Errorf("%s is %q, %t", key, value, ok)
		}
	}
	if value, ok := Tag(text, "Job"); ok {
		t.Errorf("Job is %q", value)
	}
}

func TestTagsDoNotAllocate(t *testing.T) {
	for _, text := range []string{
		"SELECT 1", "SELECT 1 /*application:shop,job:PushWorker*/", "/*queue='push',job='A'*/ SELECT 1 /*a:b*/",
	} {
		b := []byte(text)
		if n := testing.AllocsPerRun(20, func() { Tag(b, "nothing") }); n != 0 {
			t.Errorf("%s allocates %v times", text, n)
		}
	}
}

// FuzzTags holds that tags are as short as promised and lie in the text unless they are decoded.
func FuzzTags(f *testing.F) {
	for _, seed := range []string{"/*a:b,c:d*/ SELECT 1 /*e='f%20',g='\\''*/ ;", "/*a=*/", "/*a:1,*/", "*/", "/*/*a:b*/"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		for key, value := range Tags(text) {
			if len(key) == 0 || len(key)+len(value) > maxTags || !strings.Contains(string(text), string(key)) {
				t.Errorf("%q has the tag %q=%q", text, key, value)
			}
		}
	})
}
