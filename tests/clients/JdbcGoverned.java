import java.sql.BatchUpdateException;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Properties;

/** JDBC where policy masks, holds and denies: server-side statements in binary, batches, fetch size, in both query modes. */
public final class JdbcGoverned {
    private JdbcGoverned() {}

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
        properties.setProperty("prepareThreshold", "2");
        return DriverManager.getConnection(url, properties);
    }

    private static void denied(SQLException error, String why) throws SQLException {
        for (SQLException each = error; each != null; each = each.getNextException()) {
            if ("42501".equals(each.getSQLState()) && each.getMessage().contains(why)) {
                return;
            }
        }
        throw error;
    }

    private static int people(PreparedStatement people) throws SQLException {
        int count = 0;
        people.setLong(1, 0);
        try (ResultSet rows = people.executeQuery()) {
            while (rows.next()) {
                require("REDACTED".equals(rows.getString("name")), "a name came");
                require(rows.getString("card").contains("******"), "a card came");
                require(rows.getString("number") == null, "a number came");
                count++;
            }
        }
        return count;
    }

    private static void governed(String mode, int base) throws SQLException {
        try (Connection connection = connect(mode);
                PreparedStatement people = connection.prepareStatement("select id, name, card, number from people where id >= ?");
                PreparedStatement delete = connection.prepareStatement("delete from notes where n = ?")) {
            for (int run = 0; run < 6; run++) {
                require(people(people) == 2, "two people");
                if (run == 3) {
                    delete.setInt(1, base + 1);
                    require(delete.executeUpdate() == 1, "what was approved went through");
                    require(delete.getWarnings().getMessage().contains("waits for an approval"), "a notice");
                }
            }
            delete.setInt(1, base + 2);
            try {
                delete.executeUpdate();
                throw new IllegalStateException("it was not denied");
            } catch (SQLException error) {
                denied(error, "an approver denied it");
            }
            // Whether a batch is one transaction differs by mode; what is denied in it is told in each.
            try (PreparedStatement insert = connection.prepareStatement("insert into notes values (?)")) {
                insert.setInt(1, base + 5);
                insert.addBatch();
                insert.setInt(1, base + 6);
                insert.addBatch();
                require(insert.executeBatch().length == 2, "a batch");
            }
            try (Statement batch = connection.createStatement()) {
                batch.addBatch("insert into notes values (" + (base + 300) + ")");
                batch.addBatch("update notes set n = 0");
                batch.executeBatch();
                throw new IllegalStateException("it was not denied");
            } catch (BatchUpdateException error) {
                denied(error, "policy");
            }
            connection.setAutoCommit(false);
            people.setFetchSize(1);
            require(people(people) == 2, "two people in pieces");
            try (Statement statement = connection.createStatement()) {
                statement.executeUpdate("insert into notes values (" + (base + 100) + ")");
                try {
                    statement.executeUpdate("update notes set n = 0");
                    throw new IllegalStateException("it was not denied");
                } catch (SQLException error) {
                    denied(error, "policy");
                }
            }
            try {
                connection.commit();
            } catch (SQLException rolledBack) {
                connection.rollback();
            }
            try (Statement statement = connection.createStatement();
                    ResultSet count = statement.executeQuery("select count(*) from notes where n = " + (base + 100))) {
                require(count.next() && count.getInt(1) == 0, "nothing was written");
            }
            connection.rollback();
        }
        System.out.print(mode + " ");
    }

    public static void main(String[] arguments) throws SQLException {
        governed("extended", 40);
        governed("extendedForPrepared", 50);
        governed("simple", 60);
        System.out.println("done");
    }
}
