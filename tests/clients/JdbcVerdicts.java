import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.util.Properties;

/** JDBC where policy denies: what a denial does to the transaction around it, read off the table afterwards. */
public final class JdbcVerdicts {
    private interface Work {
        void run() throws SQLException;
    }

    private JdbcVerdicts() {}

    private static Connection connect() throws SQLException {
        Properties properties = new Properties();
        properties.setProperty("user", System.getenv("PGUSER"));
        properties.setProperty("password", System.getenv("PGPASSWORD"));
        properties.setProperty("sslmode", "verify-full");
        properties.setProperty("sslrootcert", System.getenv("PGSSLROOTCERT"));
        String url = "jdbc:postgresql://localhost:" + System.getenv("PGPORT") + "/" + System.getenv("PGDATABASE");
        return DriverManager.getConnection(url, properties);
    }

    private static void refused(Work work) throws SQLException {
        try {
            work.run();
        } catch (SQLException error) {
            SQLException first = error;
            while (first.getNextException() != null) {
                first = first.getNextException();
            }
            if (!"42501".equals(error.getSQLState()) && !"42501".equals(first.getSQLState())) {
                throw error;
            }
            return;
        }
        throw new AssertionError("it was not refused");
    }

    private static void rows(int mark, int expected) throws SQLException {
        try (Connection connection = connect();
                PreparedStatement count = connection.prepareStatement("select count(*) from notes where n = ?")) {
            count.setInt(1, mark);
            try (ResultSet found = count.executeQuery()) {
                found.next();
                if (found.getInt(1) != expected) {
                    throw new AssertionError(mark + ": " + found.getInt(1) + " rows, not " + expected);
                }
            }
        }
    }

    private static void insert(Connection connection, int mark) throws SQLException {
        try (PreparedStatement insert = connection.prepareStatement("insert into notes values (?)")) {
            insert.setInt(1, mark);
            insert.executeUpdate();
        }
    }

    public static void main(String[] arguments) throws SQLException {
        try (Connection connection = connect(); Statement statement = connection.createStatement()) {
            refused(() -> statement.execute("insert into notes values (201); drop table notes"));
        }
        rows(201, 0);
        System.out.print("implicit ");

        try (Connection connection = connect(); Statement statement = connection.createStatement()) {
            connection.setAutoCommit(false);
            insert(connection, 202);
            refused(() -> statement.executeUpdate("delete from notes"));
            // Drivers differ in whether they say that it was rolled back; the table tells.
            try {
                connection.commit();
            } catch (SQLException rolledBack) {
                connection.rollback();
            }
        }
        rows(202, 0);
        System.out.print("explicit ");

        try (Connection connection = connect(); Statement statement = connection.createStatement()) {
            connection.setAutoCommit(false);
            insert(connection, 203);
            Savepoint before = connection.setSavepoint();
            refused(() -> statement.executeUpdate("update notes set n = 0"));
            connection.rollback(before);
            insert(connection, 203);
            connection.commit();
        }
        rows(203, 2);
        System.out.print("savepoint ");

        try (Connection connection = connect(); Statement statement = connection.createStatement()) {
            statement.addBatch("insert into notes values (204)");
            statement.addBatch("delete from notes where n = 204");
            statement.addBatch("insert into notes values (204)");
            refused(statement::executeBatch);
        }
        rows(204, 0);
        System.out.print("batch ");

        try (Connection connection = connect();
                PreparedStatement card = connection.prepareStatement("select card from orders where id = ?")) {
            for (int number = 0; number < 8; number++) {
                card.setInt(1, number);
                refused(card::executeQuery);
                insert(connection, 205);
            }
        }
        rows(205, 8);
        System.out.println("prepared");
    }
}
