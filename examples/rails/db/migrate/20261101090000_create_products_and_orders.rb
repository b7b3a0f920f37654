class CreateProductsAndOrders < ActiveRecord::Migration[6.1]
  def change
    create_table :products do |t|
      t.string :name, null: false, index: {unique: true}
      t.integer :price_cents, null: false
      t.integer :sold, null: false, default: 0
    end

    create_table :orders do |t|
      t.references :product, null: false, foreign_key: true
      t.integer :quantity, null: false
      t.string :status, null: false, default: "new"
      t.timestamps
    end
  end
end
