import static org.junit.jupiter.api.Assertions.assertEquals;

import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import org.junit.jupiter.api.function.Executable;

/** What the tests ask of a connection. */
final class Session {
  private Session() {}

  /** The database's JDBC URL with more parameters, such as "prepareThreshold=1". */
  static String url(String more) {
    String user = System.getenv("PGUSER");
    return "jdbc:postgresql://" + System.getenv("PGHOST") + ":" + System.getenv("PGPORT") + "/" + System.getenv("PGDATABASE")
        + "?sslmode=disable&loginTimeout=20&user=" + user + (more.isEmpty() ? "" : "&" + more);
  }

  static Connection connect(String more) throws SQLException {
    return DriverManager.getConnection(url(more));
  }

  /** Runs statements without parameters. */
  static void run(Connection c, String... texts) throws SQLException {
    for (String text : texts) {
      try (var s = c.createStatement()) {
        s.execute(text);
      }
    }
  }

  /** The only value of a query with these parameters, as text. */
  static String one(Connection c, String text, Object... args) throws SQLException {
    try (var s = c.prepareStatement(text)) {
      for (int i = 0; i < args.length; i++) {
        s.setObject(i + 1, args[i]);
      }
      try (ResultSet rows = s.executeQuery()) {
        rows.next();
        return rows.getString(1);
      }
    }
  }

  /** Fails unless the work fails with this SQLSTATE. */
  static void fails(String sqlstate, Executable work) {
    try {
      work.execute();
    } catch (SQLException e) {
      assertEquals(sqlstate, e.getSQLState(), e::toString);
      return;
    } catch (Throwable e) {
      throw new AssertionError("not an SQLException", e);
    }
    throw new AssertionError("no error, want " + sqlstate);
  }
}
