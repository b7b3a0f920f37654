class Order < ApplicationRecord
  belongs_to :product

  validates :quantity, numericality: {only_integer: true, in: 1..100}

  # Takes an order: the row and the count of what was sold, or neither.
  def self.place(product_id:, quantity:)
    transaction do
      order = create!(product_id: product_id, quantity: quantity)
      Product.update_counters(product_id, sold: order.quantity)
      order
    end
  end
end
