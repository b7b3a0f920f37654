class Report < ApplicationRecord
  # Reads all orders: what everybody has bought, by hour. It is what makes a database sweat.
  def self.write
    from = Process.clock_gettime(Process::CLOCK_MONOTONIC)
    hours = Order.joins(:product).group("date_trunc('hour', orders.created_at)", "products.name").sum("quantity * price_cents")
    turnover = hours.each_with_object(Hash.new(0)) { |((_hour, product), cents), sum| sum[product] += cents }
    create!(turnover: turnover, seconds: Process.clock_gettime(Process::CLOCK_MONOTONIC) - from)
  end
end
