# Ten products, and the orders of a month.
%w[Apples Bread Cheese Dates Eggs Flour Grapes Honey Ink Jam].each_with_index do |name, i|
  Product.create_with(price_cents: 100 + 37 * i).find_or_create_by!(name: name)
end

Order.connection.execute(<<~SQL) if Order.none?
  INSERT INTO orders (product_id, quantity, status, created_at, updated_at)
  SELECT p.id, 1 + n % 5, 'confirmed', t, t
  FROM generate_series(1, #{ENV.fetch("SEED_ORDERS", 100_000).to_i}) n
  CROSS JOIN LATERAL (SELECT now() - n * interval '20 seconds' AS t) AS times
  JOIN (SELECT id, row_number() OVER (ORDER BY id) - 1 AS at FROM products) p ON p.at = n % 10
SQL
