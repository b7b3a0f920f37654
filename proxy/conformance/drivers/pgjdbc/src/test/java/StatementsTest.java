import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.ByteArrayOutputStream;
import java.io.StringReader;
import java.sql.BatchUpdateException;
import java.sql.Connection;
import java.util.ArrayList;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.postgresql.PGConnection;

/** Statements, batches, fetch sizes and COPY; pgjdbc names its statements S_1, S_2, … in every connection. */
@Timeout(40)
class StatementsTest {
  @ParameterizedTest
  @ValueSource(strings = {
    "prepareThreshold=1", "prepareThreshold=-1", "prepareThreshold=5", "prepareThreshold=0", "preferQueryMode=simple",
    "preferQueryMode=extended&prepareThreshold=1", "preferQueryMode=extendedForPrepared", "preferQueryMode=extendedCacheEverything",
  })
  void moreStatementsThanAreKept(String mode) throws Exception {
    try (Connection c = Session.connect(mode + "&preparedStatementCacheQueries=5")) {
      for (int round = 0; round < 6; round++) {
        for (int i = 0; i < 12; i++) {
          assertEquals(Integer.toString(i * 100 + round), Session.one(c, "select " + i * 100 + " + ?::int", round));
        }
      }
    }
  }

  @Test
  void sameTextOnManyConnections() throws Exception {
    var all = new ArrayList<Connection>();
    try {
      for (int i = 0; i < 8; i++) {
        all.add(Session.connect("prepareThreshold=1"));
      }
      for (int round = 0; round < 6; round++) {
        for (int i = 0; i < all.size(); i++) {
          assertEquals(Integer.toString(round * 10 + i), Session.one(all.get(i), "select ?::int * 10 + ?::int", round, i));
        }
      }
    } finally {
      for (Connection c : all) {
        c.close();
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"never", "always", "conservative"})
  void transactionsAndSavepoints(String autosave) throws Exception {
    try (Connection c = Session.connect("prepareThreshold=1&autosave=" + autosave)) {
      Session.run(c, "drop table if exists accounts", "create table accounts (id int primary key)");
      c.setAutoCommit(false);
      c.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
      assertEquals("serializable", Session.one(c, "show transaction_isolation"));
      Session.run(c, "insert into accounts values (1)");
      var savepoint = c.setSavepoint();
      Session.run(c, "insert into accounts values (2)");
      Session.fails("23505", () -> Session.run(c, "insert into accounts values (1)"));
      if (autosave.equals("never")) {
        Session.fails("25P02", () -> Session.run(c, "select 1"));
      }
      c.rollback(savepoint);
      Session.run(c, "insert into accounts values (3)");
      c.commit();
      assertEquals("4", Session.one(c, "select sum(id) from accounts"));
      c.rollback();
      c.setReadOnly(true);
      Session.fails("25006", () -> Session.run(c, "insert into accounts values (9)"));
      c.rollback();
      c.setReadOnly(false);
      c.setAutoCommit(true);
      assertEquals("serializable", Session.one(c, "show transaction_isolation")); // it is the session's
    }
  }

  /** autosave=conservative lets the driver prepare again inside a transaction; without one it does so by itself. */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void changedTable(boolean transaction) throws Exception {
    try (Connection c = Session.connect("prepareThreshold=1&autosave=conservative")) {
      Session.run(c, "drop table if exists changing", "create table changing (a int)", "insert into changing values (1)");
      c.setAutoCommit(!transaction);
      try (var s = c.prepareStatement("select * from changing where a = ?")) {
        for (int i = 0; i < 4; i++) {
          for (int again = 0; again < 3; again++) {
            s.setInt(1, 1);
            try (var rows = s.executeQuery()) {
              assertEquals(i + 1, rows.getMetaData().getColumnCount());
              rows.next();
              assertEquals(1, rows.getInt("a"));
            }
          }
          Session.run(c, "alter table changing add column b" + i + " int");
          if (transaction) {
            c.commit();
          }
        }
      }
      if (transaction) {
        c.commit();
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"reWriteBatchedInserts=false", "reWriteBatchedInserts=true", "prepareThreshold=1", "preferQueryMode=simple"})
  void batches(String mode) throws Exception {
    try (Connection c = Session.connect(mode)) {
      Session.run(c, "drop table if exists many", "create table many (a int primary key, b text)");
      try (var s = c.prepareStatement("insert into many values (?, ?)")) {
        for (int i = 0; i < 700; i++) {
          s.setInt(1, i);
          s.setString(2, "row " + i);
          s.addBatch();
        }
        assertEquals(700, s.executeBatch().length);
        for (int i = 900; i > 650; i--) {
          s.setInt(1, i);
          s.setString(2, "again");
          s.addBatch();
        }
        var e = assertThrows(BatchUpdateException.class, s::executeBatch);
        assertEquals("23505", e.getSQLState());
      }
      assertEquals("many", Session.one(c, "select 'many' from many where a = ?", 1));
      try (var s = c.createStatement()) {
        for (int i = 0; i < 20; i++) {
          s.addBatch("update many set b = 'changed' where a = " + i);
        }
        assertEquals(20, s.executeBatch().length);
      }
      assertEquals("20", Session.one(c, "select count(*) from many where b = 'changed'"));
    }
  }

  @Test
  void generatedKeys() throws Exception {
    try (Connection c = Session.connect("prepareThreshold=1")) {
      Session.run(c, "drop table if exists keyed", "create table keyed (id serial primary key, a int)");
      try (var s = c.prepareStatement("insert into keyed (a) values (?)", new String[] {"id"})) {
        for (int i = 1; i <= 10; i++) {
          s.setInt(1, i);
          s.executeUpdate();
          try (var keys = s.getGeneratedKeys()) {
            keys.next();
            assertEquals(i, keys.getInt(1));
          }
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"prepareThreshold=1", "prepareThreshold=5", "defaultRowFetchSize=3", "preferQueryMode=simple"})
  void fetchSize(String mode) throws Exception {
    try (Connection c = Session.connect(mode)) {
      c.setAutoCommit(false);
      try (var s = c.prepareStatement("select n from generate_series(1, ?) n")) {
        s.setFetchSize(7);
        for (int round = 0; round < 8; round++) {
          s.setInt(1, 100);
          int sum = 0;
          try (var rows = s.executeQuery()) {
            while (rows.next()) {
              sum += rows.getInt(1);
              if (rows.getInt(1) == 50) {
                assertEquals("7", Session.one(c, "select ?::int", 7)); // between two fetches
              }
            }
          }
          assertEquals(5050, sum);
        }
      }
      c.commit();
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"prepareThreshold=1", "prepareThreshold=0"})
  void maxRows(String mode) throws Exception {
    try (Connection c = Session.connect(mode); var s = c.prepareStatement("select n from generate_series(1, 100) n")) {
      for (int limit : new int[] {5, 0, 100, 7}) {
        s.setMaxRows(limit);
        int n = 0;
        try (var rows = s.executeQuery()) {
          while (rows.next()) {
            n++;
          }
        }
        assertEquals(limit == 0 ? 100 : limit, n);
      }
    }
  }

  @Test
  void copy() throws Exception {
    try (Connection c = Session.connect("")) {
      Session.run(c, "drop table if exists copied", "create table copied (a int check (a <> 13), b text)");
      var api = c.unwrap(PGConnection.class).getCopyAPI();
      var text = new StringBuilder();
      for (int i = 0; i < 20_000; i++) {
        text.append(100 + i).append("\trow\n");
      }
      assertEquals(20_000, api.copyIn("copy copied from stdin", new StringReader(text.toString())));
      Session.fails("23514", () -> api.copyIn("copy copied from stdin", new StringReader("13\tbad\n" + text)));
      var cancelled = api.copyIn("copy copied from stdin");
      byte[] row = "1\trow\n".getBytes();
      cancelled.writeToCopy(row, 0, row.length);
      cancelled.cancelCopy();
      var out = new ByteArrayOutputStream();
      assertEquals(20_000, api.copyOut("copy copied to stdout", out));
      assertEquals(text.length(), out.size());
      assertEquals("20000", Session.one(c, "select count(*) from copied"));
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"prepareThreshold=-1", "prepareThreshold=5", "binaryTransfer=false"})
  void arraysAndBinaryValues(String mode) throws Exception {
    try (Connection c = Session.connect(mode)) {
      try (var s = c.prepareStatement("select ?::int4[], ?::text[], ?::bytea, ?::float8, ?::timestamptz, ?::uuid")) {
        Integer[] numbers = {1, -2, 3};
        String[] texts = {"a", "b \"c\"", "", "ü"};
        byte[] raw = {0, 1, -1, 10};
        var at = java.time.OffsetDateTime.parse("2020-01-02T03:00:00Z");
        var id = java.util.UUID.fromString("00000000-0000-0000-0000-000000000007");
        for (int i = 0; i < 8; i++) {
          s.setArray(1, c.createArrayOf("int4", numbers));
          s.setArray(2, c.createArrayOf("text", texts));
          s.setBytes(3, raw);
          s.setDouble(4, 0.1);
          s.setObject(5, at);
          s.setObject(6, id);
          try (var rows = s.executeQuery()) {
            rows.next();
            assertArrayEquals(numbers, (Integer[]) rows.getArray(1).getArray());
            assertArrayEquals(texts, (String[]) rows.getArray(2).getArray());
            assertArrayEquals(raw, rows.getBytes(3));
            assertEquals(0.1, rows.getDouble(4));
            assertEquals(at, rows.getObject(5, java.time.OffsetDateTime.class));
            assertEquals(id, rows.getObject(6));
          }
        }
      }
    }
  }
}
