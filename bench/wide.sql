\set first random(1, 19000)
SELECT name, email, phone, card, address, note FROM wide WHERE id BETWEEN :first AND :first + 999;
