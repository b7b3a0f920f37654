class CreateReports < ActiveRecord::Migration[6.1]
  def change
    create_table :reports do |t|
      t.jsonb :turnover, null: false
      t.float :seconds, null: false
      t.timestamps
    end
  end
end
