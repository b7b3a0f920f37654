import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import java.sql.Connection;
import java.util.ArrayList;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;

/** Settings, locks, notifications, cancelling, and HikariCP. */
@Timeout(40)
class SessionTest {
  /** pgjdbc sends TimeZone, DateStyle and extra_float_digits at startup. */
  @Test
  void settings() throws Exception {
    try (Connection c = Session.connect("prepareThreshold=1&options=-c%20work_mem=9MB&currentSchema=pg_catalog")) {
      for (int i = 0; i < 3; i++) {
        assertEquals("9MB", Session.one(c, "show work_mem"));
        assertEquals("pg_catalog", Session.one(c, "show search_path"));
        assertEquals(java.util.TimeZone.getDefault().getID(), Session.one(c, "show timezone"));
      }
      Session.run(c, "drop schema if exists mine cascade", "create schema mine", "create table mine.here as select 5 as a",
          "set time zone 'Asia/Tokyo'", "set work_mem = '5MB'");
      c.setSchema("mine");
      for (int i = 0; i < 5; i++) {
        assertEquals("5", Session.one(c, "select a from here where a > ?", i));
        assertEquals("2020-01-02 12:00:00+09", Session.one(c, "select '2020-01-02 03:00Z'::timestamptz::text"));
        assertEquals("5MB", Session.one(c, "show work_mem"));
        assertEquals("mine", c.getSchema());
      }
      c.setAutoCommit(false);
      Session.run(c, "set work_mem = '6MB'", "set local time zone 'UTC'");
      assertEquals("6MB", Session.one(c, "show work_mem"));
      c.rollback();
      assertEquals("5MB", Session.one(c, "show work_mem"));
      assertEquals("Asia/Tokyo", Session.one(c, "show timezone"));
      c.commit();
      c.setAutoCommit(true);
      Session.run(c, "reset all");
      assertEquals("9MB", Session.one(c, "show work_mem"));
      assertEquals("pg_catalog", Session.one(c, "show search_path"));
    }
  }

  @Test
  void locksAndTemporaryTables() throws Exception {
    try (Connection a = Session.connect("prepareThreshold=1"); Connection b = Session.connect("prepareThreshold=1")) {
      Session.run(a, "select pg_advisory_lock(7)", "create temp table scratch (n int)");
      for (int i = 0; i < 5; i++) {
        assertEquals("f", Session.one(b, "select pg_try_advisory_lock(?)", 7));
        try (var s = a.prepareStatement("insert into scratch values (?)")) {
          s.setInt(1, i);
          assertEquals(1, s.executeUpdate());
        }
        assertEquals(Integer.toString(i + 1), Session.one(a, "select count(*) from scratch"));
        Session.fails("42P01", () -> Session.one(b, "select count(*) from scratch"));
      }
      Session.run(a, "drop table scratch");
      assertEquals("t", Session.one(a, "select pg_advisory_unlock(?)", 7));
      assertEquals("t", Session.one(b, "select pg_try_advisory_lock(?)", 7));
      assertEquals("t", Session.one(b, "select pg_advisory_unlock(?)", 7));
    }
  }

  @Test
  void notifications() throws Exception {
    try (Connection listener = Session.connect(""); Connection other = Session.connect("")) {
      Session.run(listener, "listen news");
      for (int i = 0; i < 5; i++) {
        Session.one(other, "select pg_notify('news', ?)", Integer.toString(i));
        PGNotification[] got = listener.unwrap(PGConnection.class).getNotifications(20_000);
        assertEquals(1, got.length);
        assertEquals("news " + i, got[0].getName() + " " + got[0].getParameter());
      }
      Session.run(listener, "unlisten *");
    }
  }

  @Test
  void cancel() throws Exception {
    try (Connection c = Session.connect("prepareThreshold=1")) {
      Session.run(c, "set statement_timeout = 100");
      Session.fails("57014", () -> Session.one(c, "select pg_sleep(?)", 20));
      Session.run(c, "reset statement_timeout");
      try (var s = c.createStatement()) {
        s.setQueryTimeout(1);
        Session.fails("57014", () -> s.execute("select pg_sleep(20)"));
      }
      assertEquals("0", Session.one(c, "show statement_timeout"));
    }
  }

  @Test
  void errorKeepsConnection() throws Exception {
    for (String mode : new String[] {"prepareThreshold=1", "prepareThreshold=0", "preferQueryMode=simple"}) {
      try (Connection c = Session.connect(mode)) {
        Session.run(c, "set app.mark = 'mine'");
        for (String[] bad : new String[][] {{"select 1/0", "22012"}, {"selec", "42601"}, {"select * from nowhere", "42P01"}}) {
          Session.fails(bad[1], () -> Session.run(c, bad[0]));
          Session.fails(bad[1], () -> Session.one(c, bad[0]));
          assertEquals("mine", Session.one(c, "select current_setting('app.mark')"));
        }
        Session.fails("22012", () -> Session.one(c, "select 1/?::int", 0));
        assertEquals("mine", Session.one(c, "select current_setting('app.mark')"));
      }
    }
  }

  @Test
  void severalStatementsAtOnce() throws Exception {
    try (Connection c = Session.connect(""); var s = c.createStatement()) {
      var got = new ArrayList<Integer>();
      boolean rows = s.execute("select 1; begin; select 2; commit; select 3");
      while (rows || s.getUpdateCount() != -1) {
        if (rows) {
          try (var r = s.getResultSet()) {
            r.next();
            got.add(r.getInt(1));
          }
        }
        rows = s.getMoreResults();
      }
      assertEquals("[1, 2, 3]", got.toString());
    }
  }

  @Test
  void largeObject() throws Exception {
    try (Connection c = Session.connect("")) {
      c.setAutoCommit(false);
      var api = c.unwrap(PGConnection.class).getLargeObjectAPI();
      long oid = api.createLO();
      try (var lo = api.open(oid)) {
        lo.write("large".getBytes());
        lo.seek(0);
        assertEquals("large", new String(lo.read(10)));
      }
      api.delete(oid);
      c.commit();
    }
  }

  @Test
  void callableFunction() throws Exception {
    try (Connection c = Session.connect("prepareThreshold=1")) {
      Session.run(c, "create or replace function twice(n int) returns int language sql as 'select n * 2'");
      try (var s = c.prepareCall("{ ? = call twice(?) }")) {
        for (int i = 0; i < 6; i++) {
          s.registerOutParameter(1, java.sql.Types.INTEGER);
          s.setInt(2, i);
          s.execute();
          assertEquals(i * 2, s.getInt(1));
        }
      }
    }
  }

  @Test
  void hikari() throws Exception {
    var config = new HikariConfig();
    config.setJdbcUrl(Session.url("prepareThreshold=1"));
    config.setMaximumPoolSize(10);
    config.setConnectionInitSql("set app.mark = 'pooled'");
    config.setConnectionTestQuery("select 1");
    var tasks = Executors.newFixedThreadPool(16);
    try (var pool = new HikariDataSource(config)) {
      try (Connection c = pool.getConnection()) {
        Session.run(c, "drop table if exists pooled", "create table pooled (id int)");
      }
      var all = new ArrayList<Future<?>>();
      for (int task = 0; task < 16; task++) {
        int id = task;
        all.add(tasks.submit(() -> work(pool, id)));
      }
      for (var f : all) {
        f.get();
      }
      try (Connection c = pool.getConnection()) {
        assertEquals("160", Session.one(c, "select count(*) from pooled"));
      }
      assertTrue(pool.getHikariPoolMXBean().getTotalConnections() <= 10);
    } finally {
      tasks.shutdownNow();
    }
  }

  private static Void work(HikariDataSource pool, int task) throws Exception {
    for (int i = 0; i < 10; i++) {
      try (Connection c = pool.getConnection()) {
        c.setAutoCommit(false); // HikariCP puts it back
        Session.run(c, "insert into pooled values (" + (task * 100 + i) + ")");
        assertEquals(Integer.toString(i + 1), Session.one(c, "select count(*) from pooled where id / 100 = ?", task));
        assertEquals("pooled", Session.one(c, "select current_setting('app.mark')"));
        c.commit();
      }
    }
    return null;
  }
}
