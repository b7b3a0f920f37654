import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.Properties;

/** Logs in once for each line of fields between tabs, and says what came of it in such a line. */
public class Door {
  public static void main(String[] args) throws Exception {
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      System.out.println(attempt(line.split("\t", -1)));
    }
  }

  // host, port, database, user, password, ca, cert, key
  static String attempt(String[] f) {
    Properties p = new Properties();
    p.setProperty("user", f[3]);
    p.setProperty("password", f[4]);
    p.setProperty("sslmode", f[5].isEmpty() ? "disable" : "verify-full");
    p.setProperty("gssEncMode", "disable");
    if (!f[5].isEmpty()) p.setProperty("sslrootcert", f[5]);
    p.setProperty("sslcert", f[6].isEmpty() ? "/nonexistent" : f[6]);
    p.setProperty("sslkey", f[7].isEmpty() ? "/nonexistent" : f[7]);
    try (Connection c = DriverManager.getConnection("jdbc:postgresql://" + f[0] + ":" + f[1] + "/" + f[2], p);
        ResultSet r = c.createStatement().executeQuery("select current_user")) {
      r.next();
      return r.getString(1) + "\t\t";
    } catch (SQLException e) {
      return "\t" + e.getSQLState() + "\t" + String.valueOf(e.getMessage()).replaceAll("[\t\r\n]", " ");
    }
  }
}
