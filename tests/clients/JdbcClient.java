import java.io.StringReader;
import java.io.StringWriter;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Types;
import java.util.Properties;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyManager;

/** The PostgreSQL JDBC driver through the gateway: simple and extended, batches, fetch size, COPY, errors. */
public final class JdbcClient {
    private static void held(String check) {
        System.out.println("{\"check\": \"" + check + "\"}");
    }

    private static void require(boolean condition, String what) {
        if (!condition) {
            throw new IllegalStateException(what);
        }
    }

    private static Connection connect(String mode) throws SQLException {
        String url = "jdbc:postgresql://" + System.getenv("PGHOST") + ":" + System.getenv("PGPORT") + "/" + System.getenv("PGDATABASE");
        Properties properties = new Properties();
        properties.setProperty("user", System.getenv("PGUSER"));
        properties.setProperty("password", System.getenv("PGPASSWORD"));
        properties.setProperty("sslmode", "verify-full");
        properties.setProperty("sslrootcert", System.getenv("PGSSLROOTCERT"));
        properties.setProperty("preferQueryMode", mode);
        properties.setProperty("ApplicationName", "jdbc-client");
        properties.setProperty("loginTimeout", "10");
        return DriverManager.getConnection(url, properties);
    }

    private static void checks(String mode) throws Exception {
        try (Connection connection = connect(mode)) {
            try (PreparedStatement statement = connection.prepareStatement("select ?::int4, ?::text, ?::text, ?::numeric")) {
                for (int number = 0; number < 12; number++) {
                    statement.setInt(1, number);
                    statement.setNull(2, Types.VARCHAR);
                    statement.setString(3, "NULL");
                    statement.setBigDecimal(4, new java.math.BigDecimal("12.50"));
                    try (ResultSet rows = statement.executeQuery()) {
                        require(rows.next() && rows.getInt(1) == number && rows.getString(2) == null, "row");
                        require("NULL".equals(rows.getString(3)) && "12.50".equals(rows.getString(4)), "row");
                    }
                }
            }
            held(mode + " parameters");
            try (Statement statement = connection.createStatement()) {
                statement.execute("create temp table batched (id int, note text)");
            }
            try (PreparedStatement statement = connection.prepareStatement("insert into batched values (?, ?)")) {
                for (int number = 0; number < 200; number++) {
                    statement.setInt(1, number);
                    statement.setString(2, "note " + number);
                    statement.addBatch();
                }
                require(statement.executeBatch().length == 200, "batch");
            }
            held(mode + " batch");
            connection.setAutoCommit(false);
            try (Statement statement = connection.createStatement()) {
                statement.setFetchSize(17);
                try (ResultSet rows = statement.executeQuery("select id from batched order by id")) {
                    int count = 0;
                    while (rows.next()) {
                        require(rows.getInt(1) == count++, "order");
                    }
                    require(count == 200, "count " + count);
                }
            }
            connection.commit();
            held(mode + " fetch size");
            try (Statement statement = connection.createStatement()) {
                statement.executeQuery("select 1/0");
                throw new IllegalStateException("no error came");
            } catch (SQLException error) {
                require("22012".equals(error.getSQLState()), error.getSQLState());
                connection.rollback();
            }
            held(mode + " errors");
            CopyManager copy = connection.unwrap(PGConnection.class).getCopyAPI();
            require(copy.copyIn("copy batched from stdin", new StringReader("900\tx\n901\t\\N\n")) == 2, "copy in");
            StringWriter out = new StringWriter();
            copy.copyOut("copy (select id, note from batched where id >= 900 order by id) to stdout", out);
            require("900\tx\n901\t\\N\n".equals(out.toString()), out.toString());
            connection.commit();
            held(mode + " copy");
        }
    }

    public static void main(String[] arguments) throws Exception {
        checks("extended");
        if (System.getenv("WRIT_POOL") != null) {
            checks("simple");
        }
    }
}
